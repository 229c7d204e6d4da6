/*
 * A function goes, another comes.
 *
 * outcome: replace
 * replaced: f
 * added: is
 * removed: was
 */
#ifdef POST
static noinline int is(int a)
{
	return take(a + 2);
}
#else
#define is was
static noinline int was(int a)
{
	return take(a);
}
#endif
int f(int a)
{
	return is(a) + 1;
}
