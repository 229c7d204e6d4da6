/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_UPDATE_H
#define RESPLICE_UPDATE_H

#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "hooks.h"
#include "seal.h"
#include "swap.h"

struct rs_group;

enum rs_state {
	RS_LOADED,			/* matched and linked; nothing changed */
	RS_APPLIED,
	RS_UNDONE,
	RS_SUPERSEDED,			/* undone, since another took its place */
};

struct rs_function {
	const char *name, *unit;
	unsigned long old, new;
	u32 old_size, new_size;
};

/*
 * One part of an update: what one module brings for one kernel object. The
 * parts of a group are applied and undone together.
 */
struct rs_update {
	struct list_head node;		/* in rs_updates */
	struct kobject kobj;
	struct rs_group *group;
	u32 part;			/* its number, from 0 */
	struct module *mod;		/* the update itself */
	struct module *target;		/* what it patches; NULL for vmlinux, or once it has gone */
	char object[MODULE_NAME_LEN];	/* its name */
	enum rs_state state;
	struct rs_function *functions;
	struct rs_swap *swaps;		/* one per function */
	u32 nr_functions;
	struct rs_exchange *data;
	u32 nr_data;
	struct rs_seals seals;		/* entries that are opened with it */
	struct rs_range *ranges;	/* the old code */
	u32 nr_ranges;
	struct rs_hooks hooks;
	struct rs_range text;		/* the new code */
	struct rs_change change;	/* what the next stop is to do */
	bool stays;			/* also when undone: see RESPLICE_UPDATE_STAYS */
	bool match_only;		/* it changes nothing */
	size_t bytes;			/* resident, beyond the module's own */
};

extern struct mutex rs_lock;		/* guards all of the above */
extern struct list_head rs_updates;	/* all parts, in the order of their coming */

int rs_updates_init(void);
void rs_updates_exit(void);

/* Show a copy of running text as it was before our own jumps went in. */
void rs_updates_hide_jumps(u8 *copy, unsigned long base, u32 size);

/* The same for data that updates have exchanged. */
void rs_updates_hide_exchanges(u8 *copy, unsigned long base, u32 size);

/* The applied update that has replaced this function, or NULL. */
const struct rs_update *rs_updates_replacing(const char *name, const char *unit);

/* The applied update that has exchanged some of these bytes, or NULL. */
const struct rs_update *rs_updates_exchanging(unsigned long address, u32 size);

/* Whether an applied update holds the jump label with this entry. */
bool rs_updates_holding(unsigned long label_entry);

/* The applied update that supersedes the one with this id, or NULL. */
const struct rs_update *rs_updates_superseding(const char *id);

/* prepare.c: match, resolve, get ready; header: the module's resplice_update. */
int rs_prepare(struct module *mod, unsigned long header, struct rs_update **out);

/* sysfs.c */
int rs_sysfs_init(void);
void rs_sysfs_exit(void);
int rs_sysfs_add(struct rs_update *update);
/* Waits for readers; not to be called with rs_lock held. Frees the update. */
void rs_sysfs_remove(struct rs_update *update);
void rs_update_free(struct rs_update *update);

#endif /* RESPLICE_UPDATE_H */
