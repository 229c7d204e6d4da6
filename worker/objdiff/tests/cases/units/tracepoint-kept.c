/*
 * A function with a tracepoint that its own unit defines.
 *
 * outcome: replace
 * replaced: f
 * late: __tracepoint_event __SCK__tp_func_event __SCT__tp_func_event
 */
DEFINE_TRACE(event);
int f(int a)
{
	a = take(a);
	trace(event, a);
#ifdef POST
	a++;
#endif
	return take(a);
}
