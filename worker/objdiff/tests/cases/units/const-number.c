/*
 * A number in a constant table: exchanged where it is, no code changes.
 *
 * outcome: replace
 * exchanged: table
 */
#ifdef POST
static const int table[] = { 1, 2, 3, 5 };
#else
static const int table[] = { 1, 2, 3, 4 };
#endif

int f(int i)
{
	return table[i];
}
