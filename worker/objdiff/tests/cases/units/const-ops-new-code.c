/*
 * A constant table leads to a new function: others may keep its address, so
 * that the update stays loaded.
 *
 * outcome: replace
 * added: g
 * exchanged: ops
 * held: g
 * has: g
 */
static noinline int f(int a)
{
	return take(a);
}

#ifdef POST
static noinline int g(int a)
{
	return take(a + 1);
}
#else
#define g f
#endif

static int (*const ops[])(int) = { f, g };

int call(int i)
{
	return ops[i](i);
}
