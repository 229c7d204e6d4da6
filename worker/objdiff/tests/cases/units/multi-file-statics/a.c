/*
 * Static variables and functions of one name in two units are two things.
 *
 * outcome: replace
 * replaced: f g
 * late: count work
 */
static int count;
static noinline int work(int a)
{
	count += a;
	return take(count);
}
int f(int a)
{
#ifdef POST
	count--;
#endif
	return work(a) + 1;
}
