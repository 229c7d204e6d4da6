/*
 * A symbol that may not be there.
 *
 * outcome: refused
 * replaced: f
 * refused: weak-reference maybe
 */
extern int maybe(int) __weak;
int f(int a)
{
#ifdef POST
	if (maybe)
		a = maybe(a);
#endif
	return take(a);
}
