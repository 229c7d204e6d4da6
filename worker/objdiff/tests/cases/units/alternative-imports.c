/*
 * Both sides of an alternative call what the kernel exports.
 *
 * outcome: replace
 * exports: slow fast
 * replaced: f
 * imports: slow fast take
 * late:
 */
int f(int a)
{
	asm volatile(ALTERNATIVE("call slow", "call fast", 0x72));
#ifdef POST
	a++;
#endif
	return take(a);
}
