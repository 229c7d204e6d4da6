/*
 * Another initial value of a static local: the running one keeps its value.
 *
 * outcome: needs-code
 * refused: changed-data n.0
 */
int f(void)
{
#ifdef POST
	static int n = 2;
#else
	static int n = 1;
#endif

	return take(n++);
}
