#ifdef POST
int f(int a)
{
	return a < 0 ? -22 : take(a) + 1;
}
#endif
int here(int a)
{
	return take(a);
}
