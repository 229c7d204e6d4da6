/*
 * A jump label lies where the jump into the replacement goes: the core holds it.
 *
 * outcome: replace
 * replaced: f
 * late: key
 * table: __jump_table 1
 */
extern struct static_key key;
int f(int a)
{
	if (static_branch_unlikely(&key))
		a += 2;
#ifdef POST
	a ^= 4;
#endif
	return take(a);
}
