/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_SYMBOLS_H
#define RESPLICE_SYMBOLS_H

#include <linux/hashtable.h>
#include <linux/static_call.h>
#include <linux/types.h>

struct jump_entry;
struct kprobe;
struct list_head;
struct module;
struct mutex;
struct rs_exits;
struct task_struct;

/*
 * Functions of the kernel that it does not export. They are called directly: the
 * endbr of one whose address nothing takes is sealed, so that a processor with
 * IBT lets no call through a pointer in.
 */
typedef unsigned long rs_lookup_name_fn(const char *name);
typedef struct module *rs_find_module_fn(const char *name);
typedef struct task_struct *rs_idle_task_fn(int cpu);
typedef struct kprobe *rs_get_kprobe_fn(void *address);
/* stack_trace_save_tsk_reliable(): the frames, or an error; 0 where there is none */
typedef int rs_save_frames_fn(struct task_struct *task, unsigned long *frames,
			      unsigned int size);

DECLARE_STATIC_CALL(rs_lookup_name, rs_lookup_name_fn);
DECLARE_STATIC_CALL(rs_find_module, rs_find_module_fn);
DECLARE_STATIC_CALL(rs_idle_task, rs_idle_task_fn);
DECLARE_STATIC_CALL(rs_get_kprobe, rs_get_kprobe_fn);
DECLARE_STATIC_CALL(rs_save_frames, rs_save_frames_fn);

/*
 * What else the core needs of the kernel though the kernel does not export it.
 * Found once, at load, and never from numbers that userspace hands in.
 */
struct rs_kernel {
	unsigned long text_start, text_end; /* vmlinux: _stext, _etext */
	void **pv_ops;			/* the operations, by patch type */
	unsigned long return_thunk;	/* __x86_return_thunk, or 0 */
	unsigned long *custom_return_thunk; /* x86_return_thunk, or NULL */
	unsigned long static_call_return; /* __static_call_return, or 0 */
	unsigned long nop_func;		/* what operations that do nothing are, or 0 */
	/* text_mutex, held for each write of code; static_call_mutex, until all sites agree */
	struct mutex *text_lock, *static_call_lock;
	struct mutex *label_lock;	/* jump_label_mutex, until all sites agree; or NULL */
	struct jump_entry *labels, *labels_end; /* vmlinux's */
	struct mutex *livepatch_lock;	/* klp_mutex, and what it guards: */
	struct list_head *livepatches;	/* struct klp_patch */
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
