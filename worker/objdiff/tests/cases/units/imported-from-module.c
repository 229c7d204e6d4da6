/*
 * The patched module needs another one already: all that one exports is left to
 * the module loader. What a third one exports is left to the core.
 *
 * object: upper
 * exports: lower_old@lower lower_new@lower third@third upper_own@upper
 * outcome: replace
 * replaced: f
 * imports: take lower_old lower_new
 * late: third upper_own
 */
extern int lower_old(int a), lower_new(int a), third(int a), upper_own(int a);
int f(int a)
{
#ifdef POST
	return take(a) + lower_old(a) + lower_new(a) + third(a) + upper_own(a);
#else
	return take(a) + lower_old(a) + upper_own(a);
#endif
}
