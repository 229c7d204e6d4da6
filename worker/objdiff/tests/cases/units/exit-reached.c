/*
 * A driver's remove is exit code and runs when its device goes, long before the
 * module does.
 *
 * outcome: needs-code
 * object: module
 * replaced: f
 * exit: gone
 * refused: exit-changed gone
 */
static void __exit gone(void)
{
#ifdef POST
	take(1);
#endif
}
struct driver {
	void (*remove)(void);
};
struct driver driver = { .remove = gone };
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
