/*
 * Functions that must not be probed, one of them replaced.
 *
 * outcome: replace
 * replaced: f
 */
#define NOKPROBE_SYMBOL(name)						\
	static unsigned long __used __section("_kprobe_blacklist") _kbl_addr_##name \
		= (unsigned long)name
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
NOKPROBE_SYMBOL(f);
int g(int a)
{
	return take(a) + 1;
}
NOKPROBE_SYMBOL(g);
