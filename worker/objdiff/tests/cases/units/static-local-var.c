/*
 * A new static local renumbers one of the same name in another function: both
 * old ones stay the running ones.
 *
 * outcome: replace
 * replaced: e f
 * data: n.2
 * late: n.1
 */
int e(int a)
{
#ifdef POST
	static int n;

	return take(n -= a);
#else
	return take(a);
#endif
}
int f(int a)
{
	static int n;

#ifdef POST
	a++;
#endif
	return take(n += a);
}
int g(int a)
{
	static int n;

	return take(n ^= a);
}
