/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_SWAP_H
#define RESPLICE_SWAP_H

#include "data.h"
#include "hooks.h"
#include "label.h"
#include "seal.h"
#include "stack.h"
#include "text.h"

/* Five bytes to exchange: what must be there, and what shall be. */
struct rs_swap {
	unsigned long address;
	u8 before[RS_JUMP_BYTES], after[RS_JUMP_BYTES];
	struct rs_alias alias;
	struct rs_label *label;		/* that begins under the jump, or NULL */
};

/*
 * What one part of an update exchanges, and where nobody may be meanwhile. A
 * part that goes does so before one comes, which may then stand on its place.
 */
struct rs_change {
	struct rs_area area;
	bool goes;			/* is undone */
	struct rs_swap *swaps;
	struct rs_exchange *data;
	u32 nr_swaps, nr_data;
	const struct rs_seals *seals;	/* to be opened; NULL if it goes */
};

struct rs_swap_result {
	u32 attempts;
	u64 pause_ns;			/* of the last stop, rendezvous included */
	u64 work_ns;			/* inside it: scan, check and writes */
	const struct rs_swap *changed;	/* whose bytes were not as expected */
	u8 found[RS_JUMP_BYTES];
	const struct rs_exchange *changed_data; /* likewise */
	const struct rs_seal *changed_seal;
	bool labels_change;		/* a static key was just being changed */
	struct rs_scan scan;		/* with who was in the way */
};

/*
 * Make all changes (struct rs_change, linked by their area's node, those that go
 * first) or none, while no task is in their ranges, no CHECK hook refuses, and nobody
 * changes a static key while a label is to be held or let go. -EBUSY: not so, in every
 * attempt; -EILSEQ: some bytes have changed under us; -EINTR; what a hook says.
 * The ranges must not lie on a stack: the scan would find them there.
 */
int rs_swap_all(struct list_head *changes, struct rs_hook_run *hooks,
		struct rs_swap_result *result);

#endif /* RESPLICE_SWAP_H */
