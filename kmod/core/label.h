/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_LABEL_H
#define RESPLICE_LABEL_H

#include "text.h"

struct module;

/* A jump label whose site begins under the jump to a replacement. */
struct rs_label {
	struct rs_alias entry;		/* its struct jump_entry, writable */
	struct rs_alias site;
	unsigned long entry_address;
	u32 skip, len;			/* of the site: bytes behind the jump's start; its own */
};

/* The label at that site, for a jump at that address into a function of target. */
int rs_label_prepare(struct rs_label **out, struct module *target, const char *function,
		     unsigned long jump, u32 skip, u32 len);
void rs_label_unmap(struct rs_label *label);
void rs_label_free(struct rs_label *label);

/* -EBUSY if a key of the update has changed though nobody could tell its sites. */
int rs_labels_check_own(const struct module *update);

/* What follows is for swap.c, with the machine stopped. */

/* Whether somebody is just rewriting sites: the machine must go on until they all agree. */
bool rs_labels_change(void);

/* Of RS_JUMP_BYTES those that the site takes, as its key wants them now. */
void rs_label_show(const struct rs_label *label, u8 *bytes);

/* From now on the kernel leaves the site alone. */
void rs_label_hold(const struct rs_label *label);

/* It no longer does; what lies behind the jump becomes what the key wants. */
void rs_label_release(const struct rs_label *label);

#endif /* RESPLICE_LABEL_H */
