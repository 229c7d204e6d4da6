/*
 * An access that may fault, with its handler in the cold part: another section.
 *
 * outcome: replace
 * replaced: f
 * has: f.rsp f.rsp.cold
 * late: oops
 * table: __ex_table 1
 */
int f(int *a)
{
	int v;

	load_goto(v, a, fault);
#ifdef POST
	v++;
#endif
	return take(v);
fault:
	oops(1);
	return -14;
}
int g(int *a)
{
	int v;

	load_goto(v, a, fault);
	return take(v) + 1;
fault:
	oops(2);
	return -14;
}
