/*
 * New data that points to strings, to old data and to functions.
 *
 * outcome: replace
 * replaced: f
 * data: entries.0
 * late: count g
 */
struct entry { const char *name; int *value; int (*act)(int); };
static int count;
noinline int g(int a)
{
	return take(count += a);
}
int f(int a)
{
#ifdef POST
	static const struct entry entries[] = { { "one", &count, g }, { "two", &count, take } };

	return sink(entries);
#else
	return take(a);
#endif
}
