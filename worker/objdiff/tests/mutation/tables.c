/* Tables of all kinds, cold parts, unwinder's states; follows tests/cases/kernel.h. */
extern struct static_key key, other_key;
static struct static_key own_key;
static int count, total;
static int limits[4] = { 1, 2, 3, 4 };

/* What objtool would say of a function, in rough. */
#define ORC(symbol)							\
	asm(".pushsection .orc_unwind_ip,\"a\"\n.long " #symbol " - .\n.long " #symbol " + 5 - .\n" \
	    ".long " #symbol " + 9 - .\n.popsection\n"			\
	    ".pushsection .orc_unwind,\"a\"\n.byte 8,0,0,0,5,1\n.byte 16,0,0,0,5,1\n" \
	    ".byte 24,0,0,0,5,1\n.popsection")

int set(struct static_key *k)
{
	static int n;

	own_key.enabled = sink(k);
	return n++ + count-- + total++ + limits[n & 3]++;
}

static noinline int helper(int a)
{
	static int n;

	return take(n += a) + total;
}

noinline int changed(int a)
{
	static int n;

#ifdef POST
	if (WARN_ON(a < 0))
		return -22;
#endif
	return helper(n++ + a) + count;
}

int f(int a, int *p)
{
	unsigned long limit;
	int v;

	a = take(a);
	asm("mov %1, %0\n991:\n.pushsection runtime_ptr_limit, \"a\"\n.long 991b - 8 - .\n"
	    ".popsection" : "=r" (limit) : "i" (0x0123456789abcdefUL));
	asm("shr $12, %0\n991:\n.pushsection runtime_shift_bits, \"a\"\n.long 991b - 1 - .\n"
	    ".popsection" : "+r" (limit));
	a += limit;
	if (static_branch_unlikely(&key))
		oops(a);
	if (static_branch_unlikely(&own_key))
		a += 2;
	load_goto(v, p, fault);
	atomic_inc(p + 1);
	asm volatile(ALTERNATIVE("nop", "lfence; mfence", 0x72));
	asm volatile(ALTERNATIVE("call hidden_slow", "call fast", 0x8073) ::: "memory");
	static_call(worker);
#ifdef POST
	pr_debug("debugged\n");
	a += changed(a) + sink(changed) + sink(helper) + hidden_variable;
	oops(7);
#endif
	return a + v + count + limits[a & 3];
fault:
	oops(3);
	return -14;
}
ORC(f);
ORC(changed);

#ifdef POST
static int fresh;
static int (*const steps[])(int) = { changed, helper, hidden, take };
#endif
int g(int a)
{
	WARN_ON(a > 5);
#ifdef POST
	fresh++;
	sink("a message that is new");
	return sink(steps) + sink(&fresh) + a;
#else
	return take(a);
#endif
}
