/*
 * Entry code in assembly runs where functions can't be replaced.
 *
 * outcome: refused
 * replaced: entry
 * refused: entry-code entry
 */
asm(".pushsection .entry.text,\"ax\"\n.globl entry\n.type entry, @function\n"
    "entry:\n\txorl %eax, %eax\n"
#ifdef POST
    "\tincl %edi\n"
#endif
    "\tcall hidden\n\tjmp __x86_return_thunk\n"
    ".size entry, . - entry\n.popsection");
int f(int a)
{
	return take(a);
}
