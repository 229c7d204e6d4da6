/*
 * A comparison with a function's address holds: it is that of the running one.
 *
 * outcome: replace
 * replaced: f handler
 * late: handler
 */
noinline int handler(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
int f(int (*which)(int))
{
#ifdef POST
	if (which == handler)
		return 1;
#endif
	return sink(which) + 1;
}
