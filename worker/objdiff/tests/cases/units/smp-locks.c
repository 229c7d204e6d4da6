/*
 * The lock prefixes of the replaced function are listed, and no others.
 *
 * outcome: replace
 * replaced: f
 * table: .smp_locks 2
 */
int f(int *a)
{
	atomic_inc(a);
#ifdef POST
	atomic_inc(a + 1);
#endif
	return take(*a);
}
int g(int *a)
{
	atomic_inc(a);
	return take(*a) + 1;
}
