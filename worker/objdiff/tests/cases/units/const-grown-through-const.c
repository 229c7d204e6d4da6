/*
 * Constant data that refer to a table which gets longer are exchanged in place.
 *
 * outcome: replace
 * exchanged: set
 * data: table
 * held: table
 */
static const int table[] = {
	1, 2, 3, 4,
#ifdef POST
	5,
#endif
};

static const struct set {
	const int *table;
	int count;
} set = { table, sizeof(table) / sizeof(table[0]) };

const struct set *get(void)
{
	return &set;
}
