/*
 * The patch defines what another unit defines weakly: the running kernel is
 * linked with that, whatever is added here.
 *
 * outcome: refused
 * replaced: f
 * added: arch_hook
 * refused: defined-elsewhere arch_hook
 */
extern int arch_hook(int);
#ifdef POST
int arch_hook(int a)
{
	return take(a);
}
#endif
int f(int a)
{
	return arch_hook(a) + 1;
}
