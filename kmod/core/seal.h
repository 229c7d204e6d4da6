/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_SEAL_H
#define RESPLICE_SEAL_H

#include "text.h"

struct resplice_update;
struct rs_match;

/* The sealed entry of a function that new code calls through pointers. */
struct rs_seal {
	unsigned long address;
	struct rs_alias alias;
};

struct rs_seals {
	struct rs_seal *list;
	u32 count;
};

/* Find and map all that late relocations lead to; these must have been checked. */
int rs_seals_prepare(struct rs_seals *seals, struct rs_match *m,
		     const struct resplice_update *head);
void rs_seals_free(struct rs_seals *seals);

/* For swap.c, with all other CPUs waiting. The first that is no entry, or NULL. */
const struct rs_seal *rs_seals_changed(const struct rs_seals *seals);
void rs_seals_open(const struct rs_seals *seals);

#endif /* RESPLICE_SEAL_H */
