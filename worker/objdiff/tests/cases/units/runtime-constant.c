/*
 * Constants that the kernel fills in as it boots, in its own code alone: new code's
 * are the core's to fill in.
 *
 * outcome: replace
 * replaced: f
 * late: limit bits
 * lacks: runtime_ptr_limit runtime_shift_bits
 * imports: take
 */
int f(unsigned long a)
{
	unsigned long limit;

	asm("mov %1, %0\n1:\n"
	    ".pushsection runtime_ptr_limit, \"a\"\n"
	    ".long 1b - 8 - .\n"
	    ".popsection" : "=r" (limit) : "i" (0x0123456789abcdefUL));
	asm("shr $12, %0\n1:\n"
	    ".pushsection runtime_shift_bits, \"a\"\n"
	    ".long 1b - 1 - .\n"
	    ".popsection" : "+r" (a));
#ifdef POST
	return take(a >= limit);
#else
	return take(a > limit);
#endif
}
