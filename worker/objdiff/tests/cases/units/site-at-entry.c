/*
 * A static branch lies where the jump into the replacement would go: the kernel
 * rewrites it whenever the key changes.
 *
 * outcome: refused
 * replaced: f
 * refused: site-at-entry f
 */
extern struct static_key key;
int f(int a)
{
	if (static_branch_unlikely(&key))
		a += 2;
#ifdef POST
	a ^= 4;
#endif
	return take(a);
}
