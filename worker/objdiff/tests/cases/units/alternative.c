/*
 * An alternative goes with its function, replacement and all.
 *
 * outcome: replace
 * replaced: f
 * table: .altinstructions 1
 * late:
 */
int f(int a)
{
	asm volatile(ALTERNATIVE("nop", "lfence; mfence", 0x72));
#ifdef POST
	a++;
#endif
	return take(a);
}
int g(int a)
{
	asm volatile(ALTERNATIVE("nop", "mfence; mfence", 0x73));
	return take(a) + 1;
}
