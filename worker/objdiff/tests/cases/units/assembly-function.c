/*
 * A function in assembly, without a fentry slot: the jump goes to its start.
 *
 * outcome: replace
 * replaced: assembled
 * late: hidden
 */
asm(".pushsection .text,\"ax\"\n.globl assembled\n.type assembled, @function\n"
    "assembled:\n\txorl %eax, %eax\n"
#ifdef POST
    "\tincl %edi\n"
#endif
    "\tcall hidden\n\tjmp __x86_return_thunk\n"
    ".size assembled, . - assembled\n.popsection");
int f(int a)
{
	return take(a);
}
