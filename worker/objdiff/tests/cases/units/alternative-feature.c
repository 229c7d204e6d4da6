/*
 * Only the CPU feature of an alternative is different.
 *
 * outcome: replace
 * replaced: f
 * table: .altinstructions 1
 */
#ifdef POST
#define BIT 0x72
#else
#define BIT 0x8072
#endif
#define ALT(bit) ALTERNATIVE("nop", "lfence", bit)
int f(int a)
{
	asm volatile(ALT(BIT));
	return take(a);
}
