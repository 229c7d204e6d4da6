/*
 * A declaration of another name answers nothing, and is an error by itself.
 *
 * outcome: refused
 * touched: start
 * declared: init-done stop
 * refused: init-changed start
 * refused: unneeded-declaration stop
 */
int __init start(void)
{
#ifdef POST
	return take(2);
#else
	return take(1);
#endif
}
