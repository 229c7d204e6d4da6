/*
 * A static branch whose key nothing exports: the core fills in the key.
 *
 * outcome: replace
 * replaced: f
 * late: key
 * late-in: __jump_table
 * table: __jump_table 1
 */
extern struct static_key key;
int f(int a)
{
#ifdef POST
	if (static_branch_unlikely(&key))
		a++;
#endif
	return take(a);
}
