/*
 * Where nothing is replaced no update keeps the module, and the old exit may run.
 *
 * outcome: needs-code
 * object: module
 * exit: cleanup_module
 * refused: exit-changed cleanup_module
 */
static void __exit stop(void)
{
#ifdef POST
	take(1);
#endif
}
extern void cleanup_module(void) __attribute__((alias("stop"), cold));
int f(int a)
{
	return take(a);
}
