/*
 * A static branch that leads into the cold part.
 *
 * outcome: replace
 * replaced: f
 * has: f.rsp.cold
 * late: key oops
 * table: __jump_table 1
 */
extern struct static_key key;
int f(int a)
{
	a = take(a);
	if (static_branch_unlikely(&key))
		oops(1);
#ifdef POST
	a++;
#endif
	return take(a);
}
