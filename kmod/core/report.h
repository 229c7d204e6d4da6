/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_REPORT_H
#define RESPLICE_REPORT_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>

/*
 * The text of the last load: lines of "code: sentence". What fails says so
 * here, since an errno from the module loader says nothing to an engineer.
 */
void rs_report_begin(const char *update);
__printf(1, 2) void rs_report(const char *fmt, ...);
ssize_t rs_report_read(char *buf, loff_t pos, size_t count);
void rs_report_free(void);

/* Report and return an error in one statement: code, errno, sentence. */
#define rs_refuse(err, code, fmt, ...)					\
({									\
	rs_report(code ": " fmt "\n", ##__VA_ARGS__);			\
	(err);								\
})

#endif /* RESPLICE_REPORT_H */
