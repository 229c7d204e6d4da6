/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_TEXT_H
#define RESPLICE_TEXT_H

#include <linux/types.h>

struct module;

#define RS_JUMP_BYTES	5u

/* A writable view of read-only bytes; prepared before they are needed. */
struct rs_alias {
	void *map;
	u8 *at;
};

/* Of at most RESPLICE_MAX_DATA_BYTES. */
int rs_alias_map(struct rs_alias *alias, unsigned long address, size_t len);
void rs_alias_unmap(struct rs_alias *alias);

/* Where the code of a module that has come is. */
void rs_module_text(const struct module *mod, unsigned long *start, unsigned long *end);

void rs_jump_encode(u8 *out, unsigned long from, unsigned long to);
/* Write RS_JUMP_BYTES at once where the CPU can; others must not be running. */
void rs_jump_write(const struct rs_alias *alias, const u8 *bytes);

#endif /* RESPLICE_TEXT_H */
