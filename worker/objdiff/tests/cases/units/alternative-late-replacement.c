/*
 * The replacement calls what nothing exports: it is put in place before the
 * core can fill that in.
 *
 * outcome: refused
 * exports: slow
 * replaced: f
 * refused: late-in-alternative fast
 */
int f(int a)
{
	asm volatile(ALTERNATIVE("call slow", "call fast", 0x72));
#ifdef POST
	a++;
#endif
	return take(a);
}
