/*
 * A static call whose key nothing exports: key and trampoline are filled in.
 *
 * outcome: replace
 * replaced: f
 * late: __SCK__fast __SCT__fast
 * late-in: .static_call_sites .text
 * table: .static_call_sites 1
 */
int f(int a)
{
#ifdef POST
	static_call(fast);
#endif
	return take(a);
}
