/*
 * A function with two names.
 *
 * outcome: replace
 * replaced: also
 * has: f.rsp also.rsp
 */
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
extern int also(int) __attribute__((alias("f")));
