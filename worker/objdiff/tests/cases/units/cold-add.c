/*
 * The function gets a cold part that it did not have.
 *
 * outcome: replace
 * replaced: f
 * has: f.rsp f.rsp.cold
 * late: oops
 */
int f(int a, int b)
{
#ifdef POST
	if (a > 3) {
		oops(1);
		take(b);
		oops(2);
		return -1;
	}
#endif
	return take(a);
}
