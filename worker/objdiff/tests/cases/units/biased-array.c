/*
 * A reference before the start of an array, as for indices that begin at 3.
 *
 * outcome: replace
 * replaced: f
 * late: table
 */
static int table[8];
int set(int a)
{
	return table[a & 7]++;
}
int f(int a)
{
	a = take(a);
#ifdef POST
	a += 2;
#endif
	if (a < 3 || a > 10)
		return 0;
	return table[a - 3];
}
