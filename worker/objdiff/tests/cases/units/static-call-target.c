/*
 * The default target of a static call is changed: its entry in the running
 * kernel leads to the replacement, whoever calls it.
 *
 * outcome: replace
 * replaced: implementation
 */
int implementation(int);
DEFINE_STATIC_CALL(own, implementation);
noinline int implementation(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
int f(int a)
{
	static_call(own);
	return take(a);
}
