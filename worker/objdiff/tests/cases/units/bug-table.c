/*
 * A new WARN brings its entry; that of an unchanged function stays where it is,
 * though its line is another.
 *
 * outcome: replace
 * replaced: f
 * table: __bug_table 1
 */
int f(int a)
{
#ifdef POST
	if (WARN_ON(a < 0))
		return -22;
#endif
	return take(a);
}
int g(int a)
{
	WARN_ON(a > 5);
	return take(a) + 1;
}
