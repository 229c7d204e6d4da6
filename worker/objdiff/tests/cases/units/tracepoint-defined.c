/*
 * A tracepoint that only the patch defines.
 *
 * outcome: refused
 * replaced: f
 * refused: changed-tracepoint event
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
