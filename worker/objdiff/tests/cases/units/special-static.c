/*
 * Flags of one-time messages that can't be told apart start afresh: at worst an
 * old message is printed once more.
 *
 * outcome: replace
 * replaced: f
 * data: __print_once.0 __print_once.1
 * late:
 */
int f(int a)
{
	printk_once("old\n");
#ifdef POST
	printk_once("new\n");
#endif
	return take(a);
}
