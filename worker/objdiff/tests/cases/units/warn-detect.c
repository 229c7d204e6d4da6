/*
 * Only lines of warnings are others: that is no fix to bring to anybody.
 *
 * outcome: nothing
 */
int f(int a)
{
#ifdef POST
	/* Checked below. */

#endif
	WARN_ON(a > 5);
	WARN_ON(a < -5);
	return take(a);
}
