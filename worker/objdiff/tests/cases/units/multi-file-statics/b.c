static long count;
static noinline int work(int a)
{
	count -= a;
	return take(count);
}
int g(int a)
{
#ifdef POST
	count--;
#endif
	return work(a) + 1;
}
