/*
 * The patch exports one more symbol: nothing in the running kernel could find it.
 *
 * outcome: refused
 * refused: changed-export f
 */
int f(int a)
{
	return take(a);
}
#ifdef POST
EXPORT_SYMBOL(f);
#endif
