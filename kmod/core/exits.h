/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_EXITS_H
#define RESPLICE_EXITS_H

struct rs_exits;

/* What this kernel counts by; NULL if it is not as expected. */
struct rs_exits *rs_exits_find(void);
/* How many tasks are at the end of their exit. The machine must be stopped. */
unsigned long rs_exits_count(void);

#endif /* RESPLICE_EXITS_H */
