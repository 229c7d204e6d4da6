/*
 * The patch exports what was there, on kernels where modpost makes the tables; another
 * export stays as it was.
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
EXPORT_FOR_MODPOST(g, "GPL");
#ifdef POST
EXPORT_FOR_MODPOST(f, "");
#endif
