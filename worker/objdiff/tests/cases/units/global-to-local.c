/*
 * A function is static now: others may still call the running one.
 *
 * outcome: replace
 * replaced: helper
 */
#ifdef POST
static
#else
int helper(int);
#endif
noinline __used int helper(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
int f(int a)
{
	return helper(a) + 1;
}
