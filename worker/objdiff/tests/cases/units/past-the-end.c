/*
 * A loop ends behind an array, as gcc likes it for a member of its elements; as
 * shipped, that lies outside of the section that the array shares.
 *
 * outcome: replace
 * replaced: f
 * late: table
 * flags: -Wno-array-bounds
 */
static long table[4];
static int lock;
int f(int a)
{
	asm volatile("cmp %0, %%rax" :: "i"((char *)table + sizeof(table) + 8));
#ifdef POST
	return take(a) + 1;
#else
	return take(a);
#endif
}
int g(int a)
{
	lock += take(a);
	return lock + table[a & 3]++;
}
