/*
 * The patch exports what was there: only the update's own parts could use that,
 * and they find it anyway.
 *
 * outcome: replace
 * replaced: g
 * unexported: f
 */
int f(int a)
{
	return take(a);
}
int g(int a)
{
#ifdef POST
	return f(a) + 1;
#else
	return f(a);
#endif
}
#ifdef POST
EXPORT_SYMBOL(f);
#endif
