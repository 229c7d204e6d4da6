/*
 * The original calls what nothing exports and has two alternatives.
 *
 * outcome: refused
 * exports: fast
 * replaced: f
 * refused: late-under-alternatives slow
 */
int f(int a)
{
	asm volatile("660: " ALTERNATIVE("call slow", "call fast", 0x72)
		     ".pushsection .altinstructions,\"a\"\n"
		     ".long 660b - .\n.long 663b - .\n.word 0x75\n"
		     ".byte 665b-660b\n.byte 664b-663b\n.popsection");
#ifdef POST
	a++;
#endif
	return take(a);
}
