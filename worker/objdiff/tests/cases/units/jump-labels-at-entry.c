/*
 * Two short jump labels lie where the jump into the replacement would go: the
 * core holds no more than one.
 *
 * outcome: refused
 * replaced: f
 * refused: site-at-entry f
 */
static __always_inline int short_branch(struct static_key *key)
{
	asm goto("1: .byte 0x66,0x90\n"
		 ".pushsection __jump_table,\"aw\"\n.balign 8\n"
		 ".long 1b - .\n.long %l[yes] - .\n.quad %c0 - .\n.popsection"
		 :: "i" (key) :: yes);
	return 0;
yes:
	return 1;
}
extern struct static_key key, other;
int f(int a)
{
	if (short_branch(&key))
		return take(a + 2);
	if (short_branch(&other))
		return take(a + 3);
#ifdef POST
	a ^= 4;
#endif
	return take(a);
}
