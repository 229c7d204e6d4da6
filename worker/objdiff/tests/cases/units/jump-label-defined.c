/*
 * A static branch with a key that comes with the patch.
 *
 * outcome: replace
 * replaced: f
 * data: fresh
 * has: fresh
 * late:
 * table: __jump_table 1
 */
#ifdef POST
static struct static_key fresh;
#endif
int f(int a)
{
#ifdef POST
	if (static_branch_unlikely(&fresh))
		a++;
#endif
	return take(a);
}
