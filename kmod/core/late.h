/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_LATE_H
#define RESPLICE_LATE_H

#include <resplice/format.h>

struct module;
struct resplice_update;
struct rs_match;

/* Check every late relocation, then fill all of them in. */
int rs_late_apply(struct rs_match *m, struct module *update,
		  const struct resplice_update *head);

#endif /* RESPLICE_LATE_H */
