/*
 * Initialisation handed out the address of a table which gets longer, though
 * its own source is as it was.
 *
 * outcome: needs-code
 * touched: nothing
 * refused: changed-data table
 */
static const int table[] = {
	1, 2, 3, 4,
#ifdef POST
	5,
#endif
};

int __init start(void)
{
	return sink(table);
}
