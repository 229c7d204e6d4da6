/*
 * A module's exit runs only as the module goes, which it can't while the update is
 * there. So the old one may stay.
 *
 * outcome: replace
 * object: module
 * replaced: f
 * exit: cleanup_module tidy
 * exit-left: cleanup_module tidy
 */
static noinline void __exit tidy(void)
{
#ifdef POST
	take(2);
#endif
	take(3);
}
static void __exit stop(void)
{
#ifdef POST
	take(1);
#endif
	tidy();
}
extern void cleanup_module(void) __attribute__((alias("stop"), cold));
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
