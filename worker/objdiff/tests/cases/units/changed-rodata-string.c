/*
 * A function that takes the address of a constant that only it has.
 *
 * outcome: replace
 * replaced: f
 * lacks: unrelated
 */
static const char unrelated[] = "the same as ever";
int g(void)
{
	return sink(unrelated);
}
int f(int a)
{
#ifdef POST
	return sink("quite another");
#else
	return sink("one");
#endif
}
