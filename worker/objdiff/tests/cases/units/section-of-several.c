/*
 * Functions that the source puts into one section jump to each other in few
 * bytes. One that does not is replaced; the others stay.
 *
 * outcome: replace
 * replaced: h
 * has: h.rsp
 */
#ifdef POST
#define N 4
#else
#define N 3
#endif
#define TOGETHER __attribute__((section(".sched.text"))) noinline

static TOGETHER int g(int a)
{
	return take(a) + 1;
}

TOGETHER int f(int a)
{
	if (a > 3)
		return g(a);
	return 0;
}

TOGETHER int h(int a)
{
	return take(a) + N;
}
