/*
 * The function loses its cold part; the old one stays and nobody jumps there.
 *
 * outcome: replace
 * replaced: f
 * has: f.rsp
 * lacks: f.cold
 */
int f(int a, int b)
{
#ifndef POST
	if (a > 3) {
		oops(1);
		take(b);
		oops(2);
		return -1;
	}
#endif
	return take(a);
}
