/*
 * Functions change places.
 *
 * outcome: nothing
 */
#define F int f(int a) { static int n; return take(n += a); }
#define G int g(int a) { static int n; return take(n -= a); }
#ifdef POST
F
G
#else
G
F
#endif
