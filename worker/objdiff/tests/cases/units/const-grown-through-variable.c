/*
 * A variable holds the address of a table which gets longer: it keeps its
 * running value.
 *
 * outcome: needs-code
 * refused: changed-data set
 */
static const int table[] = {
	1, 2, 3, 4,
#ifdef POST
	5,
#endif
};

static struct set {
	const int *table;
	int count;
} set = { table, sizeof(table) / sizeof(table[0]) };

struct set *get(void)
{
	return &set;
}
