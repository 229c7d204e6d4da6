/*
 * The compiler parts the slow half of a function off.
 *
 * outcome: replace
 * replaced: work.part.0
 * flags: -fno-ipa-sra -fno-ipa-cp
 */
static int work(int *p)
{
	if (!p)
		return 0;
	take(*p); take(p[1]); take(p[2]); take(p[3]);
	take(p[4]); take(p[5]); take(p[6]); take(p[7]);
#ifdef POST
	take(p[9]);
#endif
	return take(p[8]);
}
int f(int *p)
{
	return work(p) + 1;
}
int g(int *p)
{
	return work(p) + 2;
}
