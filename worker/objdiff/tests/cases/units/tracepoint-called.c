/*
 * New code fires a tracepoint of the kernel: its keys are filled in.
 *
 * outcome: replace
 * replaced: f
 * late: __tracepoint_event __SCK__tp_func_event __SCT__tp_func_event
 * table: __jump_table 1
 * table: .static_call_sites 1
 */
int f(int a)
{
#ifdef POST
	trace(event, a);
#endif
	return take(a);
}
