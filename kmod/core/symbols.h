/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_SYMBOLS_H
#define RESPLICE_SYMBOLS_H

#include <linux/hashtable.h>
#include <linux/types.h>

struct kprobe;
struct list_head;
struct module;
struct mutex;
struct rs_exits;
struct task_struct;

/*
 * What the core needs of the kernel though the kernel does not export it.
 * Found once, at load, and never from numbers that userspace hands in.
 */
struct rs_kernel {
	unsigned long (*lookup_name)(const char *name);
	struct module *(*find_module)(const char *name);
	struct task_struct *(*idle_task)(int cpu);
	struct kprobe *(*get_kprobe)(void *address);
	unsigned long text_start, text_end; /* vmlinux: _stext, _etext */
	void **pv_ops;			/* the operations, by patch type */
	unsigned long return_thunk;	/* __x86_return_thunk, or 0 */
	unsigned long *custom_return_thunk; /* x86_return_thunk, or NULL */
	unsigned long static_call_return; /* __static_call_return, or 0 */
	unsigned long nop_func;		/* what operations that do nothing are, or 0 */
	/* text_mutex, held for each write of code; static_call_mutex, until all sites agree */
	struct mutex *text_lock, *static_call_lock;
	struct mutex *livepatch_lock;	/* klp_mutex, and what it guards: */
	struct list_head *livepatches;	/* struct klp_patch */
	/* stack_trace_save_tsk_reliable(): the frames, or an error; or NULL */
	int (*save_frames)(struct task_struct *task, unsigned long *frames, unsigned int size);
	struct rs_exits *exits;		/* who is in do_exit(), as this kernel counts it */
};

extern struct rs_kernel rs_kernel;

int rs_symbols_init(void);

/* Names to look for, each with every address that the kernel has for it. */
struct rs_names {
	DECLARE_HASHTABLE(table, 12);
};

struct rs_name {
	struct hlist_node node;
	const char *name;		/* the caller's, must outlive the table */
	unsigned long *address;
	u32 count, room;
};

void rs_names_init(struct rs_names *names);
int rs_names_add(struct rs_names *names, const char *name);
/* Fill in the addresses: from vmlinux if mod is NULL, else from mod alone. */
int rs_names_find(struct rs_names *names, struct module *mod);
const struct rs_name *rs_names_get(const struct rs_names *names, const char *name);
bool rs_name_has(const struct rs_name *name, unsigned long address);
void rs_names_free(struct rs_names *names);

#endif /* RESPLICE_SYMBOLS_H */
