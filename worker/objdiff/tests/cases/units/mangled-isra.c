/*
 * A clone without some of its arguments: its callers stay.
 *
 * outcome: replace
 * replaced: work.constprop.0.isra.0
 */
struct pair { int a, b, c; };
static noinline int work(struct pair *p, int unused)
{
#ifdef POST
	if (p->a == 5)
		return 1;
#endif
	return take(p->a) + 1;
}
int f(struct pair *p)
{
	return work(p, 1) + 1;
}
int g(struct pair *p)
{
	return work(p, 2) + 2;
}
