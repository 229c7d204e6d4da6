/*
 * New variables of several kinds come with the update.
 *
 * outcome: replace
 * replaced: f
 * data: seen table hot
 * has: seen table hot
 * late:
 */
#ifdef POST
static int seen;
static int table[4] = { 1, 2, 3, 4 };
static int hot __read_mostly = 3;
#endif
int f(int a)
{
#ifdef POST
	seen++;
	a += table[a & 3]++ + hot++;
	sink(&seen);
#endif
	return take(a);
}
