/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_MATCH_H
#define RESPLICE_MATCH_H

#include "image.h"
#include "symbols.h"

struct module;

/* The first place where running text and reference object part. */
struct rs_mismatch {
	u32 section, offset;
	unsigned long address;
	u32 len;			/* bytes shown */
	u8 expected[16], found[16];
	const char *why;		/* NULL: no mismatch yet */
};

/*
 * Run-pre matching: what is known so far of where things are in the running
 * kernel. A trail of what was learnt allows an attempt to be taken back.
 */
struct rs_match {
	const struct rs_image *image;
	struct module *mod;		/* the object matched, NULL for vmlinux */
	struct rs_names names;
	unsigned long *value;		/* per symbol */
	unsigned long *base;		/* per section */
	unsigned long *value_known, *base_known, *matched; /* bitmaps */
	u32 *trail;			/* what was bound: symbols, then sections */
	u32 nr_trail;
	u8 *run;			/* a copy of the section being compared */
	struct rs_mismatch mismatch;
};

int rs_match_init(struct rs_match *m, const struct rs_image *image, struct module *mod);
/*
 * Match every text section of every unit; 0 if each is somewhere. One that is at
 * several places stays without an address: see rs_match_require.
 * With each_function, go on after a difference and report function by function.
 */
int rs_match_run(struct rs_match *m, bool each_function);
/* The running address of a symbol; reports and fails if it is not certain. */
int rs_match_resolve(struct rs_match *m, u32 symbol, unsigned long *address);
/* Whether a symbol's name leads to this address: a weak one may be overridden. */
bool rs_match_is_used(struct rs_match *m, u32 symbol, unsigned long address);
/*
 * The first bytes of a variable that boot writes into the code as a constant; false
 * unless exactly one symbol has its name.
 */
bool rs_match_constant(struct rs_match *m, u32 symbol, void *value, u32 len);
/* -ENOTUNIQ unless exactly one place is this section's. */
int rs_match_require(struct rs_match *m, u32 section);
/*
 * Running bytes of a matched section, taken from a copy that was compared
 * again as a whole: what they are now is known to be lawful.
 */
int rs_match_read(struct rs_match *m, u32 section, u32 offset, u8 *out, u32 len);
void rs_match_free(struct rs_match *m);

/* For site.c and place.c: what comparing is made of. */

/* Where a comparison stands: cursors into the section's relocations and sites. */
struct rs_cursor {
	const struct resplice_section *section;
	unsigned long base;
	u32 reloc, site;		/* the next ones, as image indices */
};

/* The reference bytes and the run copy of the same place. */
struct rs_piece {
	const u8 *ref, *run;
	unsigned long address;		/* of the running bytes */
	u32 len;
	const struct resplice_reloc *relocs;
	u32 nr_relocs;
	u32 origin;			/* what relocation offsets count from */
	bool nops;			/* runs of 0x90 may have become long nops */
};

const struct resplice_section *rs_section_of(struct rs_match *m, u32 index);
const char *rs_unit_name(struct rs_match *m, u32 section);
const char *rs_section_name(struct rs_match *m, u32 section);
/* Whether a name, where the kernel knows it, may stand for this value. */
bool rs_name_agrees(struct rs_match *m, const char *name, unsigned long value);
void rs_cursor_skip(struct rs_match *m, struct rs_cursor *at, u32 offset);
bool rs_match_piece(struct rs_match *m, const struct rs_piece *piece);
bool rs_match_span(struct rs_match *m, struct rs_cursor *at, u32 from, u32 to, bool nops);
bool rs_bind_symbol(struct rs_match *m, u32 symbol, unsigned long value);
bool rs_bind_base(struct rs_match *m, u32 section, unsigned long base);
void rs_match_rollback(struct rs_match *m, u32 mark);
u32 rs_nops_len(const u8 *code, u32 len);

bool rs_site_match(struct rs_match *m, struct rs_cursor *at, const struct resplice_site *site);

#endif /* RESPLICE_MATCH_H */
