/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_CORE_HOOKS_H
#define RESPLICE_CORE_HOOKS_H

#include <linux/list.h>
#include <linux/types.h>
#include <resplice/hooks.h>

struct module;
struct resplice_update;

struct rs_hook {
	union {
		resplice_refusing_hook_fn *ask;	/* PRE and CHECK */
		resplice_hook_fn *tell;		/* the others */
	};
	u32 kind;
	u32 after;
};

/* The hooks of one part of an update, in the order of its records. */
struct rs_hooks {
	struct list_head node;		/* in a run's parts */
	struct rs_hook *list;
	u32 count;
	u32 first;			/* this run: RESPLICE_HOOK_PRE_APPLY or _PRE_REVERSE */
	struct resplice_object object;	/* what each of them is given */
	bool begun;			/* this run came to this part ... */
	u32 done;			/* ... and so many of its PREs succeeded */
};

/*
 * One stop, over all parts that go or come in it: each stage runs through all
 * of them before the next begins. Guarded by rs_lock.
 */
struct rs_hook_run {
	struct list_head parts;		/* struct rs_hooks */
	const struct rs_hook *refused;	/* who said no, with which error */
	int error;
};

/* Copy and check the records of an update module. */
int rs_hooks_prepare(struct rs_hooks *hooks, struct module *update,
		     const struct resplice_update *head);
void rs_hooks_free(struct rs_hooks *hooks);

void rs_hooks_begin(struct rs_hook_run *run);
void rs_hooks_add(struct rs_hook_run *run, struct rs_hooks *part, bool reverse);
/* May sleep. An error has been reported; rs_hooks_fail is still to be called. */
int rs_hooks_pre(struct rs_hook_run *run);
/* With the machine stopped, on one CPU. -EBUSY: try again. */
int rs_hooks_check(struct rs_hook_run *run);
/* With the machine stopped, on one CPU. */
void rs_hooks_exchanged(struct rs_hook_run *run);
/* May sleep. */
void rs_hooks_post(struct rs_hook_run *run);
/* May sleep: undoes what rs_hooks_pre did, as far as it came. */
void rs_hooks_fail(struct rs_hook_run *run);
/* Says which check hook refused, once that can be said. */
void rs_hooks_report(const struct rs_hook_run *run);

#endif /* RESPLICE_CORE_HOOKS_H */
