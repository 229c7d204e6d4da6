/*
 * What the cases need of a kernel: attributes, a few functions of other units,
 * and macros that leave the same records as the kernel's own do (Linux 6.1).
 */
#define noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __cold __attribute__((cold))
#define __weak __attribute__((weak))
#define __used __attribute__((used))
#define __section(s) __attribute__((section(s)))
#define __init __section(".init.text") __cold
#define __initdata __section(".init.data")
#define __exit __section(".exit.text") __cold
#define __sched __section(".sched.text")
#define noinstr noinline __section(".noinstr.text")
#define __read_mostly __section(".data..read_mostly")
#define __ro_after_init __section(".data..ro_after_init")
#define __percpu_data __section(".data..percpu")
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NULL ((void *)0)
#define STR_(x) #x
#define STR(x) STR_(x)

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* Exported by the kernel of the cases. */
extern int take(int);
extern int sink(const void *);
extern int _printk(const char *, ...);
/* Of another unit, not exported. */
extern int hidden(int);
extern int hidden_variable;
extern void oops(int) __cold;

/* ---- the kernel's tables ---- */

/* BUG() and WARN(): __bug_table. */
#define __BUG(flags, line)						\
	asm volatile("1: ud2\n"						\
		     ".pushsection __bug_table,\"aw\"\n"		\
		     "2: .long 1b - .\n.long %c0 - .\n"			\
		     ".word %c1\n.word %c2\n.popsection\n"		\
		     ".pushsection .discard.reachable\n"		\
		     ".long 1b - .\n.popsection"			\
		     :: "i" (__FILE__), "i" (line), "i" (flags))
#define WARN_ON(c) ({ int __c = !!(c); if (unlikely(__c)) __BUG(1 | (9 << 8), __LINE__); __c; })
#define BUG() do { __BUG(0, __LINE__); __builtin_unreachable(); } while (0)

/* A faulting load and where it goes on: __ex_table. */
#define EXTABLE(from, to, type)						\
	".pushsection __ex_table,\"a\"\n.balign 4\n"			\
	".long " from " - .\n.long " to " - .\n.long " STR(type) "\n.popsection\n"
#define load_goto(variable, pointer, label)				\
	asm goto("1: movl %1, %0\n" EXTABLE("1b", "%l2", 1)		\
		 : "=r" (variable) : "m" (*(pointer)) : : label)

/* A lock prefix that a single CPU does without: .smp_locks. */
#define LOCK_PREFIX							\
	".pushsection .smp_locks,\"a\"\n.balign 4\n.long 671f - .\n.popsection\n671: lock; "
#define atomic_inc(v) asm volatile(LOCK_PREFIX "incl %0" : "+m" (*(v)))

/* Alternatives; the feature is a cpuid word's bit. */
#define ALTERNATIVE(old, new, feature)					\
	"661: " old "\n662:\n"						\
	".skip -(((664f-663f)-(662b-661b)) > 0) * ((664f-663f)-(662b-661b)),0x90\n" \
	"665:\n.pushsection .altinstructions,\"a\"\n"			\
	".long 661b - .\n.long 663f - .\n.word " STR(feature) "\n"	\
	".byte 665b-661b\n.byte 664f-663f\n.popsection\n"		\
	".pushsection .altinstr_replacement,\"ax\"\n"			\
	"663: " new "\n664:\n.popsection\n"

/* A paravirt call: .parainstructions. */
struct pv { void (*op[8])(void); };
extern struct pv pv_ops;
#define PARAVIRT(index)							\
	asm volatile("771: call *pv_ops+" STR(index) "*8(%%rip)\n772:\n" \
		     ".pushsection .parainstructions,\"a\"\n.balign 8\n"	\
		     ".quad 771b\n.byte " STR(index) "\n.byte 772b-771b\n" \
		     ".balign 8\n.popsection" ::: "memory", "cc")

/* Jump labels: __jump_table. */
struct static_key { int enabled; void *entries; };
static __always_inline int static_branch(struct static_key *key, const int branch)
{
	asm goto("1: .byte 0x0f,0x1f,0x44,0x00,0x00\n"
		 ".pushsection __jump_table,\"aw\"\n.balign 8\n"
		 ".long 1b - .\n.long %l[yes] - .\n.quad %c0 + %c1 - .\n.popsection"
		 :: "i" (key), "i" (branch) :: yes);
	return 0;
yes:
	return 1;
}
#define static_branch_unlikely(key) static_branch(key, 0)

/* Static calls, with what objtool adds: .static_call_sites. */
#define static_call(name)						\
	asm volatile("1: call __SCT__" #name "\n"			\
		     ".pushsection .static_call_sites,\"aw\"\n"		\
		     ".long 1b - .\n.long __SCK__" #name " - .\n.popsection" \
		     ::: "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", \
		     "r8", "r9", "r10", "r11")
struct static_call_key { void *function; unsigned long type; };
#define DEFINE_STATIC_CALL(name, fn)					\
	struct static_call_key __SCK__##name = { fn, 1 };		\
	asm(".pushsection .static_call.text,\"ax\"\n.align 4\n"		\
	    ".globl __SCT__" #name "\n__SCT__" #name ":\n"		\
	    ".byte 0xe9\n.long " #fn " - (. + 4)\n.byte 0x0f,0xb9,0xcc\n" \
	    ".type __SCT__" #name ", @function\n"			\
	    ".size __SCT__" #name ", . - __SCT__" #name "\n.popsection")

/* Tracepoints. */
struct tracepoint { const char *name; struct static_key key; void *funcs; };
#define DEFINE_TRACE(event)						\
	static const char __tpstrtab_##event[] __used __section("__tracepoints_strings") = #event; \
	struct tracepoint __tracepoint_##event __used __section("__tracepoints") \
		= { __tpstrtab_##event };				\
	asm(".pushsection __tracepoints_ptrs,\"a\"\n.balign 4\n"	\
	    ".long __tracepoint_" #event " - .\n.popsection")
#define trace(event, argument) do {					\
	extern struct tracepoint __tracepoint_##event;			\
	if (static_branch(&__tracepoint_##event.key, 0))		\
		static_call(tp_func_##event);				\
} while (0)

/* printk with its index, and dynamic debug. */
struct pi_entry { const char *fmt, *func, *file; u32 line; const char *level, *prefix; };
#define printk(format, ...) ({						\
	static const struct pi_entry _entry __used = {			\
		format, __func__, __FILE__, __LINE__, NULL, NULL };	\
	static const struct pi_entry *_entry_ptr __used			\
		__section(".printk_index") = &_entry;			\
	_printk(format, ##__VA_ARGS__); })
struct _ddebug {
	const char *modname, *function, *filename, *format;
	u32 lineno : 18, class_id : 6, flags : 8;
	struct static_key key;
} __attribute__((aligned(8)));
#define pr_debug(format) do {						\
	static struct _ddebug descriptor __used __section("__dyndbg") = { \
		"unit", __func__, __FILE__, format, __LINE__, 63, 0 };	\
	if (static_branch(&descriptor.key, 0))				\
		sink(&descriptor);					\
} while (0)
#define printk_once(format) ({						\
	static u8 __print_once __section(".data.once");			\
	if (!__print_once) { __print_once = 1; _printk(format); } })

/* An export. */
/* As from Linux 6.5 on: modpost makes the table of it. */
#define EXPORT_FOR_MODPOST(name, license)				\
	asm(".section \".export_symbol\", \"a\"\n"			\
	    "__export_symbol_" #name ":\n"				\
	    ".asciz \"" license "\"\n.asciz \"\"\n"			\
	    ".balign 8\n.quad " #name "\n.previous")
#define EXPORT_SYMBOL(name) EXPORT(name, "")
#define EXPORT_SYMBOL_GPL(name) EXPORT(name, "_gpl")
#define EXPORT(name, kind)						\
	asm(".section \"__ksymtab_strings\",\"aMS\",%progbits,1\n"	\
	    "__kstrtab_" #name ": .asciz \"" #name "\"\n"		\
	    "__kstrtabns_" #name ": .asciz \"\"\n.previous\n"		\
	    ".section \"___ksymtab" kind "+" #name "\", \"a\"\n.balign 4\n"	\
	    "__ksymtab_" #name ": .long " #name "- .\n"			\
	    ".long __kstrtab_" #name " - .\n.long __kstrtabns_" #name " - .\n.previous")
