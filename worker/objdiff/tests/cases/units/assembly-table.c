/*
 * A table entry about no code of the unit.
 *
 * error: __ex_table
 */
asm(".pushsection __ex_table,\"a\"\n.long 0, 0, 0\n.popsection");
int f(int a)
{
	return take(a);
}
