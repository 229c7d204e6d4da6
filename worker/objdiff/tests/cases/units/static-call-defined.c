/*
 * A static call that only the patch defines: key and trampoline come along.
 *
 * outcome: replace
 * replaced: f
 * held: implementation
 * added: implementation __SCT__fresh
 * data: __SCK__fresh
 * late:
 * table: .static_call_sites 1
 */
#ifdef POST
static __used noinline int implementation(int a)
{
	return take(a);
}
DEFINE_STATIC_CALL(fresh, implementation);
#endif
int f(int a)
{
#ifdef POST
	static_call(fresh);
#endif
	return take(a);
}
