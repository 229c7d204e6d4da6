/*
 * A function with a second entry: who calls that would miss the jump at the first.
 *
 * outcome: refused
 * replaced: f outer
 * refused: several-entries outer
 */
extern int inner(int);
asm(".pushsection .text,\"ax\"\n.globl outer\n.type outer, @function\n"
    "outer:\n\txorl %eax, %eax\n\tincl %edi\n\tdecl %edi\n"
    ".globl inner\ninner:\n"
#ifdef POST
    "\tincl %edi\n"
#endif
    "\tcall hidden\n\tjmp __x86_return_thunk\n"
    ".size outer, . - outer\n.popsection");
int f(int a)
{
#ifdef POST
	a++;
#endif
	return inner(a) + 1;
}
