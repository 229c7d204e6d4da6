// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whoever exits leaves the list of tasks before its last steps, in which it may
 * still sleep. From before it leaves until nothing can preempt it, the kernel
 * keeps it for RCU tasks: as a reader of an SRCU, whose counts are settled while
 * the machine is stopped, or, later, in a list on each CPU. Where it is neither
 * tells: so each is in the way.
 */
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rcu_segcblist.h>
#include <linux/srcu.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#include "exits.h"
#include "symbols.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define srcu_count(counter)	(counter)
#else
#define srcu_count(counter)	((unsigned long)atomic_long_read(&(counter)))
#endif

struct rs_exits {
	struct srcu_struct srcu;
};

struct rs_exits *rs_exits_find(void)
{
	return (void *)static_call(rs_lookup_name)("tasks_rcu_exit_srcu");
}

unsigned long rs_exits_count(void)
{
	const struct srcu_data *d;
	unsigned long readers = 0;
	int cpu, i;

	for_each_possible_cpu(cpu) {
		d = per_cpu_ptr(rs_kernel.exits->srcu.sda, cpu);
		for (i = 0; i < 2; i++)
			readers += srcu_count(d->srcu_lock_count[i]) -
				   srcu_count(d->srcu_unlock_count[i]);
	}
	return readers;
}
#else
/* As struct rcu_tasks_percpu of kernel/rcu/tasks.h, which no header has. */
struct rs_exits {
	struct rcu_segcblist callbacks;
	raw_spinlock_t lock;
	unsigned long jiffies, retries;
	struct timer_list lazy;
	unsigned int urgent;
	struct work_struct work;
	struct irq_work irq_work;
	struct rcu_head barrier;
	struct list_head blocked;
	struct list_head exiting;	/* of task_struct.rcu_tasks_exit_list */
	int cpu, index;
	void *of;			/* the struct rcu_tasks */
};

/* What stands behind the list must be what the kernel has put there. */
struct rs_exits *rs_exits_find(void)
{
	struct rs_exits *exits = (void *)static_call(rs_lookup_name)("rcu_tasks__percpu");
	void *of = (void *)static_call(rs_lookup_name)("rcu_tasks");
	int cpu;

	if (!exits || !of)
		return NULL;
	for_each_possible_cpu(cpu) {
		const struct rs_exits *e = per_cpu_ptr((struct rs_exits __percpu *)exits, cpu);

		if (e->cpu != cpu || e->of != of || !e->exiting.next || !e->exiting.prev)
			return NULL;
	}
	return exits;
}

unsigned long rs_exits_count(void)
{
	unsigned long tasks = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		tasks += list_count_nodes(&per_cpu_ptr((struct rs_exits __percpu *)
						       rs_kernel.exits, cpu)->exiting);
	return tasks;
}
#endif
