/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_LIVEPATCH_H
#define RESPLICE_LIVEPATCH_H

/*
 * -EBUSY, with a sentence, if a kernel livepatch has this function: its handler at
 * the function's entry would keep a replacement from ever running. May sleep.
 */
int rs_livepatch_check(const char *name, unsigned long function);

#endif /* RESPLICE_LIVEPATCH_H */
