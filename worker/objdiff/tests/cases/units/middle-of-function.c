/*
 * Addresses of labels inside a function that changes, in a table of its own.
 *
 * outcome: replace
 * replaced: f
 * late:
 */
int f(int a)
{
	static const void *const labels[] __section(".rodata..c_jump_table") = { &&one, &&two };

	sink(labels[a & 1]);
#ifdef POST
	a++;
#endif
	goto *labels[a & 1];
one:
	return take(a) + 1;
two:
	return take(a) + 2;
}
