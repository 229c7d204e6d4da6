/* Namesakes of the other unit's statics, and variables of several kinds. */
static int count;
static int total __read_mostly = 3;
struct pair { int *first; const char *name; };
static struct pair pairs[2] = { { &count, "count" }, { &total, "total" } };
extern int changed(int), set(struct static_key *);

static noinline int helper(int a)
{
	return take(count += a) - total;
}

#ifdef POST
int lent(int a)
{
	return take(a) - 7;
}
static struct pair added[2] = { { &total, "twice" }, { &count, "once" } };
static noinline int brought(int a)
{
	static int n;

	return take(n += a) + pairs[a & 1].name[0];
}
#endif

int h(int a)
{
	static int n, m;

	n += a;
	m -= a;
#ifdef POST
	if (a > 3)
		return brought(a) + sink(added) + n + sink(__func__);
#endif
	return helper(a) + changed(a) + sink(pairs) + n + m + take(total++);
}

int switched(int a)
{
#ifdef POST
	a ^= 1;
#endif
	switch (a) {
	case 0: return 7;
	case 1: return 23;
	case 2: return 5;
	case 3: return 91;
	case 4: return 12;
	case 5: return 3;
	}
	return set(NULL);
}

/* Constants that are exchanged in place. */
static noinline int one(int a)
{
	return take(a + 11);
}

static noinline int two(int a)
{
	return take(a + 12);
}

static const struct operation {
	const char *name;
	int (*call)(int);
	int flags;
} operations[] = {
	{ "one", one, 1 },
#ifdef POST
	{ "another", one, 2 },
	{ "three", take, 4 },
#else
	{ "two", two, 2 },
	{ "three", take, 3 },
#endif
};

int operate(unsigned int i)
{
	return operations[i].call(operations[i].flags) + sink(operations[i].name) + two(3);
}
