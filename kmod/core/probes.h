/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_PROBES_H
#define RESPLICE_PROBES_H

#include <linux/types.h>

/*
 * Puts back, in a copy of running code, what kprobes have covered there: a
 * breakpoint's byte, or the five of an optimised probe's jump.
 */
void rs_probes_hide(u8 *copy, unsigned long base, u32 size);

/*
 * -EBUSY, with a sentence, if a kprobe sits in these bytes of a function: its
 * replacement would pass it over unseen, or it lies on our jump. Probes at the
 * entry that go by way of the function tracer are not meant: calls still go by there.
 */
int rs_probes_check(const char *name, unsigned long function, u32 from, u32 to);

#endif /* RESPLICE_PROBES_H */
