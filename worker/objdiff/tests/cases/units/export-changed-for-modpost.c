/*
 * The patch exports in another way, on kernels where modpost makes the tables.
 *
 * outcome: refused
 * refused: changed-export f
 */
int f(int a)
{
	return take(a);
}
#ifdef POST
EXPORT_FOR_MODPOST(f, "GPL");
#else
EXPORT_FOR_MODPOST(f, "");
#endif
