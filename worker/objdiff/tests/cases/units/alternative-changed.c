/*
 * Only the replacement of an alternative is different.
 *
 * outcome: replace
 * replaced: f
 * table: .altinstructions 1
 */
#ifdef POST
#define NEW "mfence"
#else
#define NEW "lfence"
#endif
int f(int a)
{
	asm volatile(ALTERNATIVE("nop", NEW, 0x72));
	return take(a);
}
