/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_STOP_H
#define RESPLICE_STOP_H

#include <linux/container_of.h>
#include <linux/list.h>

#include "update.h"

struct rs_group;

/* All with rs_lock held. */

/* Have a part come, or go, with the next stop, and its hooks run. */
void rs_stop_plan(struct rs_update *part, bool goes, struct list_head *changes,
		  struct rs_hook_run *hooks);
/*
 * Make the changes, as rs_swap_all(), and report how that went. On success
 * rs_hooks_post() is still to be called, once all is as it says.
 */
int rs_stop(struct rs_group *group, bool undone, struct list_head *changes,
	    struct rs_hook_run *hooks);
/* What was done is what the next stop has to take back. */
void rs_stop_turn_round(struct rs_update *part);
/* The modules of parts that went may be unloaded, unless they have to stay. */
void rs_stop_leave(const struct list_head *changes);

static inline struct rs_update *rs_part_of(struct rs_change *change)
{
	return container_of(change, struct rs_update, change);
}

#endif /* RESPLICE_STOP_H */
