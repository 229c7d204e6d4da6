/*
 * Data that initialisation read long ago.
 *
 * outcome: needs-code
 * refused: init-changed defaults
 */
#ifdef POST
int defaults[] __initdata = { 1, 2, 4 };
#else
int defaults[] __initdata = { 1, 2, 3 };
#endif
int __init setup(void)
{
	return sink(defaults);
}
