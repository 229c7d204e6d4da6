/*
 * A table that other units know gets longer.
 *
 * outcome: needs-code
 * refused: changed-data table
 */
const int table[] = {
	1, 2, 3, 4,
#ifdef POST
	5,
#endif
};
