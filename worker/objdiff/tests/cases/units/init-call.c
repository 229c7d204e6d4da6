/*
 * New code calls initialisation, which is freed.
 *
 * outcome: refused
 * replaced: f
 * refused: init-reference start
 */
static noinline int __init start(int a)
{
	return take(a);
}
int __init start2(int a)
{
	return start(a) + start(a + 1);
}
int f(int a)
{
#ifdef POST
	a += start(a);
#endif
	return take(a);
}
