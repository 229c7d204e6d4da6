/*
 * The printk index lists formats for user space alone: not carried, and no
 * reason to replace anything.
 *
 * outcome: replace
 * replaced: f
 * late:
 */
int f(int a)
{
#ifdef POST
	if (a < 0)
		printk("negative: %d\n", a);
#endif
	return take(a);
}
int g(int a)
{
	printk("g: %d\n", a);
	return take(a);
}
