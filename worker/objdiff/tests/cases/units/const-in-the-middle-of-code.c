/*
 * A constant that leads into the middle of a replaced function: the running
 * code has nothing there any more.
 *
 * outcome: refused
 * replaced: f
 * exchanged: where
 * refused: inside-changed-code f
 * refused: several-entries f
 */
int f(int a)
{
	asm volatile(".globl inside\ninside:" ::: "memory");
#ifdef POST
	return take(a + 1);
#else
	return take(a);
#endif
}

extern int inside(int);
static int (*const where[])(int) = {
#ifdef POST
	inside, inside,
#else
	inside, f,
#endif
};

int call(int i)
{
	return where[i](i);
}
