/*
 * An access that may fault, with its handler in the function itself.
 *
 * outcome: replace
 * replaced: f
 * table: __ex_table 2
 */
int f(int *a)
{
	int v;

	load_goto(v, a, fault);
#ifdef POST
	load_goto(v, a + v, fault);
#endif
	return take(v);
fault:
	return -14;
}
int g(int *a)
{
	int v;

	load_goto(v, a, fault);
	return take(v) + 1;
fault:
	return -14;
}
