/*
 * A weak function becomes a strong one: another may be running.
 *
 * outcome: refused
 * replaced: f
 * refused: weak-function f
 */
#ifndef POST
__weak
#endif
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
