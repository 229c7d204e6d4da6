/*
 * A clone for a constant argument changes with what is cloned.
 *
 * outcome: replace
 * replaced: work.constprop.0
 */
static noinline int work(int a, int mode)
{
#ifdef POST
	if (a < 0)
		return -22;
#endif
	return mode == 3 ? take(a) * 5 : take(a) + mode;
}
int f(int a)
{
	return work(a, 3) + 1;
}
int g(int a)
{
	return work(a + 1, 3) * 2;
}
