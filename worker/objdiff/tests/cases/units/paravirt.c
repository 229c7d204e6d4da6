/*
 * Paravirt calls of the replaced function are listed, and no others.
 *
 * outcome: replace
 * exports: pv_ops
 * replaced: f
 * table: .parainstructions 2
 */
int f(int a)
{
	PARAVIRT(2);
#ifdef POST
	PARAVIRT(3);
#endif
	return take(a);
}
int g(int a)
{
	PARAVIRT(4);
	return take(a) + 1;
}
