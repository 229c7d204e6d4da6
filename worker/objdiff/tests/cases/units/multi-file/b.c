extern int g(int), fresh(int), unchanged(int);
int f(int a)
{
#ifdef POST
	a--;
#endif
	return g(a) + unchanged(a);
}
int k(int a)
{
#ifdef POST
	return fresh(a) + 1;
#else
	return take(a) + 1;
#endif
}
