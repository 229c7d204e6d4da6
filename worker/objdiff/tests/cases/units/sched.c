/*
 * A section that the compiler does not split by functions.
 *
 * outcome: replace
 * replaced: f
 * late: callee
 */
static noinline __sched int callee(int a)
{
	return take(a) + 1;
}
__sched int g(int a)
{
	return callee(a) * 3;
}
__sched int f(int a)
{
#ifdef POST
	a++;
#endif
	return callee(a) * 2;
}
