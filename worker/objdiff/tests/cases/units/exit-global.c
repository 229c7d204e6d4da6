/*
 * Who calls a global function of the exit can't be seen here.
 *
 * outcome: needs-code
 * object: module
 * replaced: f
 * exit: gone
 * refused: exit-changed gone
 */
void __exit gone(void)
{
#ifdef POST
	take(1);
#endif
}
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
