/*
 * A constant becomes a variable: nobody may write to the running one.
 *
 * outcome: needs-code
 * replaced: f
 * refused: changed-data limit
 */
#ifdef POST
static int limit = 3;
#else
static const int limit = 3;
#endif

int f(int a)
{
#ifdef POST
	limit += a;
#endif
	return sink(&limit);
}
