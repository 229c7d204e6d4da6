/*
 * A larger variable can't be declared to keep its value: new code would reach
 * beyond the running one.
 *
 * outcome: refused
 * replaced: f
 * refused: changed-data buffer
 * refused: unneeded-declaration buffer
 */
#ifdef POST
static const char declare[] __used __attribute__((aligned(1)))
	__section(".resplice.declare") = "data-keep:buffer";
static char buffer[32];
#else
static char buffer[16];
#endif

int f(void)
{
	return sink(buffer) + sizeof(buffer);
}
