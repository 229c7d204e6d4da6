/*
 * A line number in the bug table is no change.
 *
 * outcome: nothing
 */
#ifdef POST

#endif
int g(int a)
{
	WARN_ON(a > 5);
	return take(a) + 1;
}
