/*
 * A warning that becomes a BUG is another function.
 *
 * outcome: replace
 * replaced: f
 * table: __bug_table 1
 */
int f(int a)
{
#ifdef POST
	if (a > 5)
		BUG();
#else
	WARN_ON(a > 5);
#endif
	return take(a) + 1;
}
