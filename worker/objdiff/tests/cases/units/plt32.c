/*
 * Calls and tail calls of unexported functions, by PLT32.
 *
 * outcome: replace
 * replaced: f
 * late: hidden
 * imports: take
 */
int f(int a)
{
#ifdef POST
	if (a == 7)
		return take(a) + hidden(a) + 1;
#endif
	return hidden(a + 3);
}
