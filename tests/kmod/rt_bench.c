// SPDX-License-Identifier: GPL-2.0-only
/*
 * rt_bench: what the kernel's own means cost, for comparison.
 *
 * Reading a parameter measures anew:
 *
 *   empty_stop_ns   a stop_machine whose function does nothing, from call to return
 *   lone_scan_ns    one CPU looks at every word of every task's stack, all stopped
 *   call_ps         a call of int_sqrt(0), by its symbol
 *   jump_ps         a direct jump to another page
 *
 * Picoseconds are those of a single call: the quickest of many rounds, divided.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/stop_machine.h>

#define ROUNDS	50u
#define CALLS	20000u

/* ------------------------------- stop_machine ----------------------------- */

static int nothing(void *data)
{
	return 0;
}

static int empty_stop_get(char *buffer, const struct kernel_param *kp)
{
	u64 start = ktime_get_ns();

	stop_machine(nothing, NULL, cpu_online_mask);
	return sysfs_emit(buffer, "%llu\n", ktime_get_ns() - start);
}

struct lone_scan {
	u64 ns;
	unsigned long tasks, found;
};

/* As plainly as it can be done: nothing is shared out, nothing is named. */
static int lone_scan(void *data)
{
	struct lone_scan *scan = data;
	struct task_struct *process, *task;
	unsigned long sp, low = (unsigned long)nothing, high = low + 1;
	u64 start;

	if (smp_processor_id() != cpumask_first(cpu_online_mask))
		return 0;
	start = ktime_get_ns();
	for_each_process_thread(process, task) {
		unsigned long end = (unsigned long)task->stack + THREAD_SIZE;

		scan->tasks++;
		if (!task->stack || READ_ONCE(task->on_cpu))
			continue;
		for (sp = task->thread.sp; sp < end; sp += sizeof(long)) {
			unsigned long word = READ_ONCE_NOCHECK(*(unsigned long *)sp);

			scan->found += word >= low && word < high;
		}
	}
	scan->ns = ktime_get_ns() - start;
	return 0;
}

static int lone_scan_get(char *buffer, const struct kernel_param *kp)
{
	struct lone_scan scan = {};

	stop_machine(lone_scan, &scan, cpu_online_mask);
	return sysfs_emit(buffer, "%llu\n", scan.ns);
}

/* ----------------------------------- calls -------------------------------- */

static noinline notrace __aligned(PAGE_SIZE) unsigned long far_away(unsigned long x)
{
	barrier();
	return x;
}

/* A tail call: one direct jump, and what far_away does. */
static noinline notrace __aligned(PAGE_SIZE) unsigned long by_a_jump(unsigned long x)
{
	return far_away(x);
}

/* In picoseconds. The call is direct, as a caller's would be. */
#define QUICKEST(function)							\
({										\
	u64 best = U64_MAX, start;						\
	unsigned int round, i;							\
										\
	for (round = 0; round < ROUNDS; round++) {				\
		preempt_disable();						\
		start = ktime_get_ns();						\
		for (i = 0; i < CALLS; i++)					\
			function(0);						\
		best = min(best, ktime_get_ns() - start);			\
		preempt_enable();						\
		cond_resched();							\
	}									\
	best * 1000 / CALLS;							\
})

static int call_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", QUICKEST(int_sqrt));
}

static int jump_get(char *buffer, const struct kernel_param *kp)
{
	s64 with = QUICKEST(by_a_jump), without = QUICKEST(far_away);

	return sysfs_emit(buffer, "%lld\n", with - without);
}

static const struct kernel_param_ops empty_stop_ops = { .get = empty_stop_get };
static const struct kernel_param_ops lone_scan_ops = { .get = lone_scan_get };
static const struct kernel_param_ops call_ops = { .get = call_get };
static const struct kernel_param_ops jump_ops = { .get = jump_get };
module_param_cb(empty_stop_ns, &empty_stop_ops, NULL, 0400);
module_param_cb(lone_scan_ns, &lone_scan_ops, NULL, 0400);
module_param_cb(call_ps, &call_ops, NULL, 0400);
module_param_cb(jump_ps, &jump_ops, NULL, 0400);

static int __init rt_bench_init(void)
{
	return 0;
}

static void __exit rt_bench_exit(void)
{
}

module_init(rt_bench_init);
module_exit(rt_bench_exit);

MODULE_DESCRIPTION("What the kernel's own means cost (benchmarks only)");
MODULE_LICENSE("GPL");
