/*
 * A static function can be called from elsewhere now.
 *
 * outcome: replace
 * replaced: helper
 */
#ifndef POST
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
