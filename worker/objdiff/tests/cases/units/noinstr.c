/*
 * Entry code runs where functions can't be replaced.
 *
 * outcome: refused
 * replaced: enter
 * refused: entry-code enter
 */
noinstr int enter(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
