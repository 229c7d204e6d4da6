/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_AWAIT_H
#define RESPLICE_AWAIT_H

#include <linux/types.h>

/*
 * What is called for which modules: a line with an absolute path and arguments,
 * then one line for each module. Nothing at all: nobody is called. 0; -EINVAL if it
 * is not that.
 */
int rs_await_set(const char *text, size_t len);
ssize_t rs_await_show(char *buf);

int rs_await_init(void);
/* Waits for those that were called. */
void rs_await_exit(void);

#endif /* RESPLICE_AWAIT_H */
