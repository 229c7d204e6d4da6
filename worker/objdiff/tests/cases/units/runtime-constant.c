/*
 * A constant that the kernel fills in as it boots, in its own code alone: a module's
 * would stay what the compiler wrote.
 *
 * outcome: refused
 * replaced: f
 * refused: runtime-constant f
 */
int f(unsigned long a)
{
	unsigned long limit;

	asm("mov %1, %0\n1:\n"
	    ".pushsection runtime_ptr_limit, \"a\"\n"
	    ".long 1b - 8 - .\n"
	    ".popsection" : "=r" (limit) : "i" (0x0123456789abcdefUL));
#ifdef POST
	return take(a >= limit);
#else
	return take(a > limit);
#endif
}
