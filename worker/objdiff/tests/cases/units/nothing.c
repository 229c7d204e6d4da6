/*
 * The same source has nothing to replace.
 *
 * outcome: nothing
 */
static int count;
int f(int a)
{
	static int n;

	count += a;
	return n++ + sink("x");
}
