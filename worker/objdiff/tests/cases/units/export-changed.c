/*
 * The patch exports in another way: who was loaded before has it the old way.
 *
 * outcome: refused
 * refused: changed-export f
 */
int f(int a)
{
	return take(a);
}
#ifdef POST
EXPORT_SYMBOL_GPL(f);
#else
EXPORT_SYMBOL(f);
#endif
