/*
 * Variables that lie together in a section that is not split: told apart by
 * the instruction's end, not by the addend alone.
 *
 * outcome: replace
 * replaced: f
 * late: second
 */
static int first __read_mostly = 1, second __read_mostly = 2;
int set(void)
{
	return first++ + second++;
}
int f(int a)
{
	a = take(a);
#ifdef POST
	a++;
#endif
	if (second == 7)
		return 0;
	second = 9;
	return a;
}
