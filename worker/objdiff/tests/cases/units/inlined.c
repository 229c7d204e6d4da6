/*
 * Who has absorbed a changed function is replaced too.
 *
 * outcome: replace
 * replaced: f g
 */
static inline int in(int a)
{
#ifdef POST
	if (a > 9)
		a = 9;
#endif
	return take(a);
}
int f(int a)
{
	return in(a) + 1;
}
int g(int a)
{
	return in(a) * 2;
}
int h(int a)
{
	return take(a) * 3;
}
