/*
 * Another string is another function, and no change of data.
 *
 * outcome: replace
 * replaced: f
 * late:
 */
#ifdef POST
#define TEXT "after"
#else
#define TEXT "before"
#endif
int f(void)
{
	return sink(TEXT) + 1;
}
int g(void)
{
	return sink("same") + 1;
}
