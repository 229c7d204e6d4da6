/*
 * A new dynamic debug message comes with its descriptor and branch.
 *
 * outcome: replace
 * replaced: f
 * data: descriptor.1
 * table: __jump_table 1
 * late:
 */
int f(int a)
{
#ifdef POST
	pr_debug("a message\n");
#endif
	return take(a);
}
