/*
 * Its author says that the old exit will do, by the name that he has written.
 *
 * outcome: replace
 * object: module
 * replaced: f
 */
#ifdef POST
static const char declare[] __used __attribute__((aligned(1)))
	__section(".resplice.declare") = "exit-keep:stop";
#endif
void __exit stop(void)
{
#ifdef POST
	take(1);
#endif
}
extern void cleanup_module(void) __attribute__((alias("stop"), cold));
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
