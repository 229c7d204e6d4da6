/*
 * A constant table that gets longer: a new copy, and new code that uses it.
 *
 * outcome: replace
 * replaced: f
 * data: table
 * held: table
 * has: table
 */
static const int table[] = {
	1, 2, 3, 4,
#ifdef POST
	5,
#endif
};

int f(unsigned int i)
{
	return i < sizeof(table) / sizeof(table[0]) ? table[i] : 0;
}

int g(int a)
{
	return take(a);
}
