/*
 * A module's init and exit have the names that those of the update have too.
 *
 * outcome: replace
 * object: module
 * replaced: f
 */
int __init start(void)
{
	return 0;
}
extern int init_module(void) __attribute__((alias("start"), cold));
void __exit stop(void)
{
}
extern void cleanup_module(void) __attribute__((alias("stop"), cold));
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
