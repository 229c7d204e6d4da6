/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_DATA_H
#define RESPLICE_DATA_H

#include "text.h"

struct module;
struct resplice_data;
struct resplice_late;
struct resplice_update;
struct rs_match;
struct rs_update;

/* Existing data whose contents are exchanged: what must be there, and what shall be. */
struct rs_exchange {
	const char *name;		/* of the variable, for messages */
	unsigned long address;
	u32 size;
	const u8 *before, *after;	/* in the update's own read-only data */
	struct rs_alias alias;
};

/* Check the table of exchanges: nothing of it is looked at before that. */
int rs_data_check(struct rs_match *m, struct module *update,
		  const struct resplice_data *data, u32 count);
/*
 * The value of a late field of an exchange's `before` that refers to a merged
 * constant: the running field itself says where the linker put it, and what is
 * there must be the constant.
 */
int rs_data_constant(struct rs_match *m, const struct resplice_data *data, u32 count,
		     const struct resplice_late *late, unsigned long *symbol);
/* Find, compare and map all of it. Late fields must have been filled in. */
int rs_data_prepare(struct rs_update *u, struct rs_match *m,
		    const struct resplice_data *data, u32 count);
void rs_data_free(struct rs_exchange *data, u32 count);

/* For swap.c, with all other CPUs waiting. */
bool rs_exchange_holds(const struct rs_exchange *x);
void rs_exchange_write(const struct rs_exchange *x, const u8 *contents);

#endif /* RESPLICE_DATA_H */
