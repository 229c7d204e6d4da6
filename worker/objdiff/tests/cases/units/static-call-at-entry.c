/*
 * A static call lies where the jump into the replacement would go: the kernel
 * rewrites it whenever the call's target changes.
 *
 * outcome: refused
 * replaced: f
 * refused: site-at-entry f
 */
int f(int a)
{
	static_call(fast);
#ifdef POST
	a ^= 4;
#endif
	return take(a);
}
