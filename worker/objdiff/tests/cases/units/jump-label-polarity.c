/*
 * Only the branch's polarity is different.
 *
 * outcome: replace
 * replaced: f
 * late: key
 * table: __jump_table 1
 */
extern struct static_key key;
#ifdef POST
#define BRANCH 1
#else
#define BRANCH 0
#endif
int f(int a)
{
	a = take(a);
	if (static_branch(&key, BRANCH))
		a++;
	return take(a);
}
