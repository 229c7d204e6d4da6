/*
 * A weak function: another unit may have taken its place.
 *
 * outcome: refused
 * replaced: f
 * refused: weak-function f
 */
__weak int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
