/*
 * Only what lies in the cold part is different: the function goes with it.
 *
 * outcome: replace
 * replaced: f
 * has: f.rsp f.rsp.cold
 * late: oops
 */
#ifdef POST
#define N 2
#else
#define N 1
#endif
int f(int a, int b)
{
	if (a > 3) {
		oops(N);
		take(b);
		oops(N);
		return -1;
	}
	return take(a);
}
