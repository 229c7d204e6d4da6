/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_GROUP_H
#define RESPLICE_GROUP_H

#include <linux/kref.h>
#include <resplice/format.h>

#include "swap.h"

struct module;
struct rs_update;

/* What the parts of one update have in common. Guarded by rs_lock. */
struct rs_group {
	struct kref kref;		/* one for each part */
	char id[RESPLICE_ID_LEN];
	u32 nr_parts;			/* there are, here or not */
	struct resplice_id *supersedes;	/* updates that go when this one comes */
	u32 nr_supersedes;
	struct rs_swap_result result;	/* of the last apply or undo */
};

/* All with rs_lock held, apart from rs_group_put(). */

/* Sets the part's number and group. It is one of the group once in rs_updates. */
int rs_group_join(struct rs_update *part, const struct resplice_update *head);
void rs_group_put(struct rs_group *group);
/* Whether the update with this id goes when this one comes. */
bool rs_group_supersedes(const struct rs_group *group, const char *id);

/* The part that is here and replaces the function at this address, or NULL. */
const struct rs_update *rs_group_replacing(const struct rs_group *group,
					   unsigned long function);
/* A part asks to be applied: it waits for the others, or all go in at once. */
int rs_group_arrive(struct rs_update *part);
/*
 * Apply all parts that are here and are not yet, and undo the updates that this
 * one supersedes, in one stop: all of it or nothing. 0; -EBUSY, -EILSEQ and -EINTR
 * as rs_swap_all(); -EINVAL: there are none, or one has been undone and has to be
 * loaded again.
 */
int rs_group_apply(struct rs_group *group);
/*
 * A module goes that parts patch, since its own init has failed: they are undone
 * by themselves, for good.
 */
void rs_group_let_go(const struct module *target);
/* Undo all parts that are applied, in one stop: all of them or none. */
int rs_group_undo(struct rs_group *group);

#endif /* RESPLICE_GROUP_H */
