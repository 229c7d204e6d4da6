/*
 * Initialisation ran long ago.
 *
 * outcome: needs-code
 * refused: init-changed start
 */
int __init start(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
