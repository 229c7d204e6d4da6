/*
 * The same, of a tracepoint that is exported.
 *
 * outcome: replace
 * exports: __tracepoint_event __SCK__tp_func_event __SCT__tp_func_event
 * replaced: f
 * late:
 * imports: take __tracepoint_event __SCK__tp_func_event __SCT__tp_func_event
 */
int f(int a)
{
#ifdef POST
	trace(event, a);
#endif
	return take(a);
}
