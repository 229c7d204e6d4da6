/*
 * A constant table of pointers leads to another existing function, a replaced
 * one among them by its old address: the module's own addresses are not in it.
 *
 * outcome: replace
 * replaced: g
 * exchanged: ops
 * late: f g h
 * late-in: .rodata
 */
static noinline int f(int a)
{
	return take(a);
}

static noinline int g(int a)
{
#ifdef POST
	return take(a + 2);
#else
	return take(a + 1);
#endif
}

static noinline int h(int a)
{
	return take(a + 3);
}

static int (*const ops[])(int) = {
#ifdef POST
	f, g, h, g,
#else
	f, h, f, g,
#endif
};

int call(int i)
{
	return ops[i](i);
}
