/*
 * The address of a replaced function is that of the running one; a call is not.
 *
 * outcome: replace
 * replaced: f g
 * late: g
 */
noinline int g(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
int f(int a)
{
#ifdef POST
	a++;
#endif
	return sink(g) + g(a);
}
