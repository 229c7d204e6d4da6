/*
 * The original calls what nothing exports: filled in where the replacement
 * was not taken.
 *
 * outcome: replace
 * exports: fast
 * replaced: f
 * late: slow
 * late-in: .text
 */
int f(int a)
{
	asm volatile(ALTERNATIVE("call slow", "call fast", 0x72));
#ifdef POST
	a++;
#endif
	return take(a);
}
