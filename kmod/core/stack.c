// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is anybody in this code? Every word of every kernel stack is looked at, not
 * just what an unwinder believes: a missed one costs a crash. A word that is in
 * the way may still be a stale one, which stays for as long as its task sleeps:
 * if the kernel's reliable unwinder vouches for all frames of the task, these
 * decide. Return addresses that tracers have moved off the stack are followed.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/rethook.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/version.h>

#include "exits.h"
#include "stack.h"
#include "symbols.h"

#define FRAMES	64u

void rs_scan_init(struct rs_scan *scan, struct list_head *areas)
{
	struct rs_area *a;
	u32 i;

	memset(scan, 0, sizeof(*scan));
	scan->areas = areas;
	scan->low = ULONG_MAX;
	list_for_each_entry(a, areas, node) {
		a->low = ULONG_MAX;
		a->high = 0;
		for (i = 0; i < a->nr_ranges; i++) {
			a->low = min(a->low, a->ranges[i].start);
			a->high = max(a->high, a->ranges[i].end);
		}
		scan->low = min(scan->low, a->low);
		scan->high = max(scan->high, a->high);
	}
}

static bool is_inside(const struct rs_area *a, unsigned long word)
{
	u32 i;

	if (word < a->low || word >= a->high)
		return false;
	for (i = 0; i < a->nr_ranges; i++)
		if (word >= a->ranges[i].start && word < a->ranges[i].end)
			return true;
	return false;
}

static bool is_in_the_way(const struct rs_scan *scan, unsigned long word)
{
	const struct rs_area *a;

	list_for_each_entry(a, scan->areas, node)
		if (is_inside(a, word))
			return true;
	return false;
}

static void note_conflict(struct rs_scan *scan, struct task_struct *task,
			  unsigned long address)
{
	struct rs_conflict *c;
	u32 slot = atomic_inc_return(&scan->nr_conflicts) - 1;

	if (slot >= RS_CONFLICTS)
		return;
	c = &scan->conflicts[slot];
	c->pid = task->pid;
	memcpy(c->comm, task->comm, sizeof(c->comm));
	c->comm[sizeof(c->comm) - 1] = 0;
	c->address = address;
}

static void check_word(struct rs_scan *scan, struct task_struct *task, unsigned long word)
{
	if (is_in_the_way(scan, word))
		note_conflict(scan, task, word);
}

#ifdef CONFIG_FUNCTION_GRAPH_TRACER
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
/* The index is that of the last one. */
#define GRAPH_DEPTH		FTRACE_RETFUNC_DEPTH
#define graph_first(task)	(min((task)->curr_ret_stack + 1, GRAPH_DEPTH) - 1)
#define graph_word(task, i)	((task)->ret_stack[i].ret)
#else
/* One page of words, frames and what tracers keep beside them. */
#define GRAPH_DEPTH		((int)(PAGE_SIZE / sizeof(long)))
#define graph_first(task)	(min((task)->curr_ret_stack, GRAPH_DEPTH) - 1)
#define graph_word(task, i)	((task)->ret_stack[i])
#endif
#endif

/* Where function_graph and kretprobes keep the true return addresses. */
static void check_moved(struct rs_scan *scan, struct task_struct *task)
{
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	int i;

	if (task->ret_stack)
		for (i = graph_first(task); i >= 0; i--)
			check_word(scan, task, graph_word(task, i));
#endif
#ifdef CONFIG_KRETPROBE_ON_RETHOOK
	struct llist_node *node;

	for (node = task->rethooks.first; node; node = node->next)
		check_word(scan, task,
			   container_of(node, struct rethook_node, llist)->ret_addr);
#elif defined(CONFIG_KRETPROBES)
	struct llist_node *node;

	for (node = task->kretprobe_instances.first; node; node = node->next)
		check_word(scan, task, (unsigned long)
			   container_of(node, struct kretprobe_instance, llist)->ret_addr);
#endif
}

/* Above it lie the registers of user space, which are no way back into the kernel. */
static unsigned long stack_end(struct task_struct *task)
{
	if (task->flags & PF_KTHREAD)
		return (unsigned long)task->stack + THREAD_SIZE;
	return (unsigned long)task_pt_regs(task);
}

/* Whether the frames of a sleeper are known for certain; if so they are checked. */
static bool check_frames(struct rs_scan *scan, struct task_struct *task)
{
	unsigned long frames[FRAMES];
	int i, nr;

	nr = static_call(rs_save_frames)(task, frames, FRAMES);
	for (i = 0; i < nr; i++)
		check_word(scan, task, frames[i]);
	return nr > 0;
}

static void check_stack(struct rs_scan *scan, struct task_struct *task, unsigned long sp)
{
	unsigned long stack = (unsigned long)task->stack, end = stack_end(task);
	/* Of nearly every word no more is asked than whether it lies here: in registers. */
	unsigned long low = scan->low, span = scan->high - low;
	bool ask = task != current;

	if (!stack)
		return;		/* dead, and its stack is gone */
	if (sp < stack || sp >= end)
		sp = stack;
	for (sp = ALIGN(sp, sizeof(long)); sp < end; sp += sizeof(long)) {
		unsigned long word = READ_ONCE_NOCHECK(*(unsigned long *)sp);

		if (likely(word - low >= span) || !is_in_the_way(scan, word))
			continue;
		if (ask && check_frames(scan, task))
			return;
		ask = false;
		note_conflict(scan, task, word);
	}
}

static void check_sleeper(struct rs_scan *scan, struct task_struct *task)
{
	/* Other CPUs' stopper threads: each looks at its own. */
	if (READ_ONCE(task->on_cpu))
		return;
	check_stack(scan, task, task->thread.sp);
	check_word(scan, task, (unsigned long)task->restart_block.fn);
	check_moved(scan, task);
}

bool rs_scan_is_clear(const struct rs_scan *scan)
{
	return !scan->nr_ending && !atomic_read(&scan->nr_conflicts);
}

void rs_scan_share(struct rs_scan *scan, u32 share, u32 shares)
{
	struct task_struct *process, *task;
	u32 turn = 0;

	if (!share)
		scan->nr_ending = rs_exits_count();
	check_stack(scan, current, (unsigned long)__builtin_frame_address(0));
	check_moved(scan, current);
	check_sleeper(scan, static_call(rs_idle_task)(raw_smp_processor_id()));
	for_each_process_thread(process, task) {
		if (turn == share)
			check_sleeper(scan, task);
		if (++turn == shares)
			turn = 0;
	}
}
