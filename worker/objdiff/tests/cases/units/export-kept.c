/*
 * An exported function is replaced: its export stays that of the kernel.
 *
 * outcome: replace
 * replaced: f
 * lacks: __ksymtab_f __kstrtab_f
 */
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
EXPORT_SYMBOL(f);
