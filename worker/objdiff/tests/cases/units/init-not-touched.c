/*
 * Initialisation is different only because something that it uses is: it has
 * run, and is noted.
 *
 * outcome: replace
 * touched: inner
 * replaced: f
 * init: start
 */
static inline int inner(int a)
{
#ifdef POST
	return take(a + 1);
#else
	return take(a);
#endif
}

int f(int a)
{
	return inner(a) * 3;
}

int __init start(void)
{
	return inner(5);
}
