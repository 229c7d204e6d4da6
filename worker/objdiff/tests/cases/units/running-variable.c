/*
 * Existing variables are the running ones, wherever they lie.
 *
 * outcome: replace
 * replaced: f
 * late: count limit hot fixed hidden_variable
 * lacks: count limit hot fixed
 */
static int count;
int limit = 7;
static int hot __read_mostly = 3;
static int fixed __ro_after_init = 5;
int set(void)
{
	return count++ + hot++ + fixed++;
}
int f(int a)
{
#ifdef POST
	a += 2;
#endif
	return take(a) + count++ + limit++ + hot++ + fixed++ + hidden_variable;
}
