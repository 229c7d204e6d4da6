/*
 * A static call that the unit itself defines, in a function that changes.
 *
 * outcome: replace
 * replaced: f
 * late: __SCK__own __SCT__own
 * table: .static_call_sites 1
 */
static __used int implementation(int a)
{
	return take(a);
}
DEFINE_STATIC_CALL(own, implementation);
int f(int a)
{
	a = take(a);
	static_call(own);
#ifdef POST
	a++;
#endif
	return take(a);
}
