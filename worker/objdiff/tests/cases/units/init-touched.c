/*
 * The patch changes initialisation itself.
 *
 * outcome: needs-code
 * touched: start
 * refused: init-changed start
 */
int __init start(void)
{
#ifdef POST
	return take(2);
#else
	return take(1);
#endif
}
