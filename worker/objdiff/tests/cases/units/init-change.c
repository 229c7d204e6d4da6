/*
 * Initialisation ran long ago.
 *
 * outcome: refused
 * refused: init-changed start
 */
int __init start(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
