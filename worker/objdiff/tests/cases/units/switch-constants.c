/*
 * The table of a switch is a constant of its function.
 *
 * outcome: replace
 * replaced: f
 */
#ifdef POST
#define LAST 4
#else
#define LAST 3
#endif
int f(int a)
{
	switch (a) {
	case 0: return 7;
	case 1: return 23;
	case 2: return 5;
	case 3: return 91;
	case 4: return 12;
	case 5: return LAST;
	}
	return 0;
}
int g(int a)
{
	switch (a) {
	case 0: return 17;
	case 1: return 3;
	case 2: return 55;
	case 3: return 9;
	case 4: return 1;
	case 5: return 2;
	}
	return 0;
}
