/*
 * A second tracepoint in a unit that has one: the list of both is longer, and
 * the first one stays the running kernel's.
 *
 * outcome: replace
 * replaced: f
 * events: other
 * data: __tracepoint_other __tpstrtab_other
 * late: __tracepoint_event __SCK__tp_func_event __SCT__tp_func_event __SCK__tp_func_other __SCT__tp_func_other
 */
DEFINE_TRACE(event);
#ifdef POST
DEFINE_TRACE(other);
#endif
int f(int a)
{
	a = take(a);
	trace(event, a);
#ifdef POST
	trace(other, a);
#endif
	return take(a);
}
