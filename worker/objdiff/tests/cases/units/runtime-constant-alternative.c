/*
 * A constant that boot fills in, in an instruction that an alternative may have
 * replaced by then.
 *
 * outcome: refused
 * replaced: f
 * refused: runtime-constant f
 */
int f(int a)
{
	asm volatile(ALTERNATIVE("mov $0x0123456789abcdef, %%rax\n8:\n"
				 ".pushsection runtime_ptr_limit, \"a\"\n"
				 ".long 8b - 8 - .\n"
				 ".popsection", "lfence", 0x72) ::: "rax");
#ifdef POST
	a++;
#endif
	return take(a);
}
