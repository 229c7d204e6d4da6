/*
 * __func__ has no identity: renumbered ones change nothing.
 *
 * outcome: replace
 * replaced: e
 */
int e(int a)
{
#ifdef POST
	sink(__func__);
#endif
	return take(a);
}
int f(int a)
{
	sink(__func__);
	return take(a);
}
