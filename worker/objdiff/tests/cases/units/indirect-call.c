/*
 * An indirect call goes by the kernel's thunk.
 *
 * outcome: replace
 * replaced: f
 * imports: take __x86_indirect_thunk_rax
 * late: handler
 */
static int (*handler)(int);
int set(int (*to)(int))
{
	handler = to;
	return take(1);
}
int f(int a)
{
#ifdef POST
	if (a < 0)
		return take(a) + 1;
#endif
	return handler(a) + 1;
}
