/*
 * Another line in the printk index and in a dynamic debug descriptor.
 *
 * outcome: nothing
 */
#ifdef POST


#endif
int g(int a)
{
	printk("g: %d\n", a);
	pr_debug("debug\n");
	return take(a);
}
