/*
 * A function moves to another unit and changes on the way: who calls it from
 * elsewhere would go on with the old one.
 *
 * outcome: refused
 * added: f
 * removed: f
 * refused: defined-elsewhere f
 */
#ifndef POST
int f(int a)
{
	return take(a) + 1;
}
#endif
int stays(int a)
{
	return take(a);
}
