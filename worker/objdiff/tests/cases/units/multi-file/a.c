/*
 * Two units: one calls what is new, and what is replaced, in the other.
 *
 * outcome: replace
 * replaced: g f k
 * added: fresh
 * late: unchanged
 * imports: take
 */
int unchanged(int a)
{
	return take(a - 1);
}
int g(int a)
{
#ifdef POST
	a++;
#endif
	return take(a) + 1;
}
#ifdef POST
int fresh(int a)
{
	return take(a) * 3;
}
#endif
