/*
 * A new per-CPU variable that points to what nothing exports.
 *
 * outcome: refused
 * replaced: f
 * data: fresh
 * refused: late-in-percpu hidden_variable
 */
#ifdef POST
static int *fresh __percpu_data = &hidden_variable;
#endif
int f(int a)
{
#ifdef POST
	sink(&fresh);
#endif
	return take(a);
}
