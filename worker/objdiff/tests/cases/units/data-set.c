/*
 * The author declares that a variable whose running value is still the old
 * initial one gets the new one.
 *
 * outcome: replace
 * exchanged: limit
 */
#ifdef POST
static const char declare[] __used __attribute__((aligned(1)))
	__section(".resplice.declare") = "data-set:limit";
int limit = 6;
#else
int limit = 5;
#endif

int f(int a)
{
	return take(a) + limit;
}
