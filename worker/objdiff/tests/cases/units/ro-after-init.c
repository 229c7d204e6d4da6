/*
 * A variable that is set while booting and read ever after.
 *
 * outcome: replace
 * replaced: f
 * late: limit
 * lacks: limit
 */
static int limit __ro_after_init = 5;
int __init setup(int a)
{
	return limit = a;
}
int f(int a)
{
#ifdef POST
	if (a > limit)
		return -22;
#endif
	return take(a) + limit;
}
