/*
 * What the source may declare the patch's description may as well.
 *
 * outcome: replace
 * object: module
 * touched: start stop
 * declared: init-done start
 * declared: exit-keep stop
 * declared: data-set limit
 * replaced: f
 * exchanged: limit
 */
#ifdef POST
int limit = 6;
#else
int limit = 5;
#endif

int __init start(void)
{
#ifdef POST
	return take(2);
#else
	return take(1);
#endif
}
extern int init_module(void) __attribute__((alias("start"), cold));

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
	return take(a) + limit;
}
