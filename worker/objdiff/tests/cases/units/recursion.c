/*
 * Functions that call each other; one of them changes.
 *
 * outcome: replace
 * replaced: g
 */
noinline int g(int a);
noinline int f(int a)
{
	return a ? g(a - 1) + 1 : take(0);
}
noinline int g(int a)
{
#ifdef POST
	a &= 0xff;
#endif
	return a ? f(a - 1) + 2 : take(1);
}
