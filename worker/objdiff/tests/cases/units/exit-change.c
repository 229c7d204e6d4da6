/*
 * The exit of a module that runs stays as it is; whether that is right only its
 * author knows.
 *
 * outcome: needs-code
 * object: module
 * replaced: f
 * exit: cleanup_module
 * refused: exit-changed cleanup_module
 */
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
