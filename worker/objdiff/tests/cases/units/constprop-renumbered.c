/*
 * Clones get other numbers when another clone comes in front: none of their
 * callers changes by that.
 *
 * outcome: replace
 * replaced: f
 * added: first.constprop.0
 * removed: first
 */
static noinline int work(int a, int mode)
{
	return mode == 3 ? take(a) * 5 : take(a) + mode;
}
static noinline int first(int a, int mode)
{
	return mode == 4 ? take(a) * 7 : take(a) - mode;
}
int f(int a)
{
#ifdef POST
	return first(a, 4) + first(a + 1, 4);
#else
	return first(a, a) + 1;
#endif
}
int g(int a)
{
	return work(a + 1, 3) * 2;
}
