/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_CORE_SHADOW_H
#define RESPLICE_CORE_SHADOW_H

/* Frees what no update has released. */
void rs_shadow_exit(void);

#endif /* RESPLICE_CORE_SHADOW_H */
