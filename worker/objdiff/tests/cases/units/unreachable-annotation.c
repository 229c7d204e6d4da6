/*
 * Notes to objtool are not carried.
 *
 * outcome: replace
 * replaced: f
 * table: __bug_table 1
 */
int f(int a)
{
	if (a == 5)
		BUG();
#ifdef POST
	a++;
#endif
	return take(a);
}
