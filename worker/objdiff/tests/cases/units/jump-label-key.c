/*
 * A static branch on a key of its own unit, which stays the running one.
 *
 * outcome: replace
 * replaced: f
 * late: key
 * late-in: __jump_table
 */
static struct static_key key;
int toggle(void)
{
	return sink(&key);
}
int f(int a)
{
	a = take(a);
	if (static_branch_unlikely(&key))
		a += 2;
#ifdef POST
	a ^= 4;
#endif
	return take(a);
}
