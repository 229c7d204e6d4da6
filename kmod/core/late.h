/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_LATE_H
#define RESPLICE_LATE_H

#include <linux/types.h>
#include <resplice/format.h>

struct module;
struct resplice_update;
struct rs_match;

/* Check every late relocation, then fill all of them in. */
int rs_late_apply(struct rs_match *m, struct module *update,
		  const struct resplice_update *head);

/* One that boot fills in, RESPLICE_LATE_CONST_*. */
bool rs_late_is_constant(const struct resplice_late *late);

#endif /* RESPLICE_LATE_H */
