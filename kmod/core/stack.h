/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_STACK_H
#define RESPLICE_STACK_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/sched.h>

#define RS_CONFLICTS	16u

/* Code that no task may be in: start <= address < end. */
struct rs_range {
	unsigned long start, end;
};

/* The ranges of one part of an update. */
struct rs_area {
	struct list_head node;
	const struct rs_range *ranges;
	u32 nr_ranges;
	unsigned long low, high;	/* bounds of its ranges; rs_scan_init's */
};

struct rs_conflict {
	pid_t pid;
	char comm[TASK_COMM_LEN];
	unsigned long address;
};

struct rs_scan {
	const struct list_head *areas;	/* struct rs_area */
	unsigned long low, high;	/* bounds of all of them */
	atomic_t nr_conflicts;		/* may exceed what is kept */
	unsigned long nr_ending;	/* tasks that no list has any more */
	struct rs_conflict conflicts[RS_CONFLICTS];
};

void rs_scan_init(struct rs_scan *scan, struct list_head *areas);
/*
 * Scan one of `shares` equal parts of all tasks, and this CPU's own stack and
 * idle task. For use with every CPU inside stop_machine: takes no lock.
 */
void rs_scan_share(struct rs_scan *scan, u32 share, u32 shares);

/* Nobody was in the way, when all shares are scanned. */
bool rs_scan_is_clear(const struct rs_scan *scan);

#endif /* RESPLICE_STACK_H */
