/*
 * A tracepoint that only the patch defines: its code is there, and what tracing
 * would read of it is not.
 *
 * outcome: replace
 * replaced: f
 * events: event
 * data: __tracepoint_event __tpstrtab_event
 * table: __jump_table 1
 * lacks: __tracepoints_ptrs
 */
#ifdef POST
DEFINE_TRACE(event);
#endif
int f(int a)
{
#ifdef POST
	trace(event, a);
#endif
	return take(a);
}
