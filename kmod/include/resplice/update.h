/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_UPDATE_MODULE_H
#define RESPLICE_UPDATE_MODULE_H

struct module;

/*
 * Apply the update that this module carries. Called from its init; by then the
 * core has matched the running kernel and filled in the late relocations.
 * 0; -EBUSY if a task stays in code to be replaced; other errors: see
 * /sys/kernel/resplice/report.
 */
int resplice_apply(struct module *mod);

#endif /* RESPLICE_UPDATE_MODULE_H */
