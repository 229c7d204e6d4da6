/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * What a Resplice update module carries for the core: the wire format between
 * the builder (worker/objdiff) and resplice.ko.
 *
 * An update module defines one symbol, resplice_update. It points to
 *   - the match image: one self-contained blob that describes the reference
 *     objects (the pre source compiled exactly as the kernel was), against
 *     which the running kernel is matched. Everything in it is an index or a
 *     byte offset, so that it can be checked without following a pointer;
 *   - the late relocations: places in the module's own sections that wait for
 *     symbols that only matching can resolve;
 *   - the replacements: which function of the match image gives way to which
 *     function of the module;
 *   - the data exchanges: which bytes of existing data become which others;
 *   - the updates whose place it takes;
 *   - the hooks of the patch's author.
 * All of it lies in .init sections: the kernel's module loader frees it once
 * the update's init has returned.
 *
 * Little endian, naturally aligned. Any change raises RESPLICE_FORMAT.
 */
#ifndef RESPLICE_FORMAT_H
#define RESPLICE_FORMAT_H

#include <linux/types.h>

#define RESPLICE_FORMAT		3
#define RESPLICE_UPDATE_MAGIC	0x4c505352u	/* "RSPL" */
#define RESPLICE_MATCH_MAGIC	0x484d5352u	/* "RSMH" */
#define RESPLICE_ID_LEN		64
#define RESPLICE_NONE		0xffffffffu

/* Limits; the core refuses what exceeds them. */
#define RESPLICE_MAX_IMAGE	0x4000000u	/* bytes of a match image */
#define RESPLICE_MAX_UNITS	4096u
#define RESPLICE_MAX_SECTIONS	65536u
#define RESPLICE_MAX_SYMBOLS	1048576u
#define RESPLICE_MAX_RELOCS	4194304u
#define RESPLICE_MAX_FUNCTIONS	4096u		/* replacements in one part */
#define RESPLICE_MAX_DATA	4096u		/* data exchanges in one part */
#define RESPLICE_MAX_DATA_BYTES	0x100000u	/* bytes of one data exchange */
#define RESPLICE_MAX_HOOKS	256u		/* in one part */
#define RESPLICE_MAX_PARTS	64u		/* kernel objects in one update */
#define RESPLICE_MAX_SUPERSEDED	256u	/* updates that one takes the place of */
#define RESPLICE_MAX_NAME	512u		/* bytes of a name, with its NUL */

/*
 * An update has one part for each kernel object that it changes, and each part
 * is a module of its own: ID for part 0, ID_pN for part N. They are applied and
 * undone together.
 */

/* ---- the module's own part; pointers are filled in by ELF relocations ---- */

/* An update whose place this one takes: in the same stop it goes and this comes. */
struct resplice_id {
	char id[RESPLICE_ID_LEN];	/* [a-z0-9_], NUL-terminated */
};

struct resplice_update {
	__u32 magic;			/* RESPLICE_UPDATE_MAGIC */
	__u32 format;			/* RESPLICE_FORMAT */
	__u32 size;			/* sizeof(struct resplice_update) */
	__u32 flags;			/* RESPLICE_UPDATE_* */
	char id[RESPLICE_ID_LEN];	/* [a-z0-9_], NUL-terminated */
	__u64 match;			/* -> the match image */
	__u64 match_size;		/* bytes */
	__u64 late;			/* -> struct resplice_late[nr_late] */
	__u64 replace;			/* -> struct resplice_replace[nr_replace] */
	__u32 nr_late;
	__u32 nr_replace;
	__u64 data;			/* -> struct resplice_data[nr_data] */
	__u64 hooks;			/* -> struct resplice_hook[nr_hooks] */
	__u32 nr_data;
	__u32 nr_hooks;
	__u32 part;			/* this one's number, from 0 */
	__u32 nr_parts;			/* at least 1 */
	__u64 supersedes;		/* -> struct resplice_id[nr_supersedes] */
	__u32 nr_supersedes;
	__u32 reserved;			/* 0 */
};

#define RESPLICE_UPDATE_MATCH_ONLY	0x1u	/* match, report, change nothing */
/* Loaded also when undone: somebody may have copied its addresses, or its module must not go. */
#define RESPLICE_UPDATE_STAYS		0x2u

struct resplice_late {
	__u64 place;			/* -> the field to fill in */
	__s64 addend;
	/*
	 * Index into the image's symbols; _MERGED only for pointers in a data
	 * exchange's .before: the running field is followed.
	 */
	__u32 symbol;
	__u32 type;			/* R_X86_64_{64,PC64,PC32,PLT32,32S,32} or below */
	/* Skip if an alternative with this feature was applied here; or RESPLICE_NONE. */
	__u32 feature;
	__u32 reserved;			/* 0 */
};

/*
 * The field is a constant of the code that boot fills in, in the kernel's own code alone:
 * the first 8 bytes of the variable, or its first one. No addend, no feature.
 */
#define RESPLICE_LATE_CONST_PTR		0x100u
#define RESPLICE_LATE_CONST_SHIFT	0x101u

struct resplice_replace {
	__u64 function;			/* -> the replacement, in this module */
	__u32 old;			/* index into the image's functions */
	__u32 size;			/* bytes of the replacement */
};

/*
 * Bytes of existing data that are exchanged while the machine is stopped, and
 * back on undo: both contents lie in the module and are relocated there, so
 * that pointers in them are those of the running kernel.
 */
struct resplice_data {
	__u64 before;			/* -> what must be there */
	__u64 after;			/* -> what shall be there */
	__u32 symbol;			/* of a unit's data: index into the image's symbols */
	__u32 offset;			/* bytes from the symbol */
	__u32 size;			/* bytes */
	__u32 reserved;			/* 0 */
};

/* What the patch's author wants done around the exchange; see hooks.h. */
struct resplice_hook {
	__u64 function;			/* -> in this module's text */
	__u32 kind;			/* RESPLICE_HOOK_* */
	/* FAIL hooks: run only if so many PRE hooks of this part succeeded; others: 0. */
	__u32 after;
};

#define RESPLICE_HOOK_PRE_APPLY		0u	/* int: may sleep, may refuse */
#define RESPLICE_HOOK_CHECK_APPLY	1u	/* int: machine stopped, may refuse */
#define RESPLICE_HOOK_APPLY		2u	/* void: machine stopped, code exchanged */
#define RESPLICE_HOOK_POST_APPLY	3u	/* void: may sleep */
#define RESPLICE_HOOK_FAIL_APPLY	4u	/* void: may sleep; undoes what pre did */
#define RESPLICE_HOOK_PRE_REVERSE	5u
#define RESPLICE_HOOK_CHECK_REVERSE	6u
#define RESPLICE_HOOK_REVERSE		7u
#define RESPLICE_HOOK_POST_REVERSE	8u
#define RESPLICE_HOOK_FAIL_REVERSE	9u
#define RESPLICE_HOOK_KINDS		10u

/* ------------------------------ the match image --------------------------- */

struct resplice_table {
	__u32 offset;			/* from the image's start, 8-aligned */
	__u32 count;			/* elements (bytes, for the two pools) */
};

struct resplice_match {
	__u32 magic;			/* RESPLICE_MATCH_MAGIC */
	__u32 format;			/* RESPLICE_FORMAT */
	__u32 size;			/* bytes of the whole image */
	__u32 object;			/* string: "vmlinux" or a module's name */
	struct resplice_table units;	/* struct resplice_unit */
	struct resplice_table sections;	/* struct resplice_section */
	struct resplice_table symbols;	/* struct resplice_symbol */
	struct resplice_table functions;/* struct resplice_function */
	struct resplice_table relocs;	/* struct resplice_reloc */
	struct resplice_table sites;	/* struct resplice_site */
	struct resplice_table variants;	/* struct resplice_variant */
	struct resplice_table strings;	/* NUL-terminated names; offset 0 is "" */
	struct resplice_table bytes;	/* section and variant contents */
};

struct resplice_unit {
	__u32 name;			/* string: "net/ipv6/seg6.c" */
	__u32 reserved;
};

/*
 * The linker places a unit's section as one piece, so that one base address
 * stands for everything in it: finding it gives the address of every symbol.
 */
struct resplice_section {
	__u32 unit;
	__u32 name;			/* string: ".text" */
	__u32 kind;			/* RESPLICE_SECTION_* */
	__u32 size;			/* bytes */
	__u32 bytes;			/* into the byte pool; RESPLICE_NONE if not TEXT */
	__u32 first_reloc, nr_relocs;	/* ascending by offset, not overlapping */
	__u32 first_site, nr_sites;	/* ascending by offset */
	__u32 first_function, nr_functions; /* ascending by offset */
	__u32 align;			/* of the section, a power of two */
};

#define RESPLICE_SECTION_TEXT	0u	/* matched byte by byte */
#define RESPLICE_SECTION_DATA	1u	/* only its base is inferred */
#define RESPLICE_SECTION_INIT	2u	/* freed after boot: neither matched nor usable */

/*
 * A symbol is defined in a section of its unit, a piece of mergeable
 * constants (the linker moved it; its contents are compared instead), or
 * external: then its value comes from relocations in matched text, or, if no
 * matched text refers to it, from its name, which must be unique.
 * WEAK symbols count as external, since another unit may have overridden them.
 */
struct resplice_symbol {
	__u32 name;			/* string; 0 for a section's own symbol */
	__u32 section;			/* index; or _EXTERNAL, or _MERGED */
	__u32 value;			/* offset in section; _MERGED: into the byte pool */
	__u32 size;			/* bytes; _MERGED: length to compare */
	__u32 flags;			/* RESPLICE_SYMBOL_* */
	__u32 unit;
};

#define RESPLICE_SYMBOL_EXTERNAL 0xffffffffu	/* in .section */
#define RESPLICE_SYMBOL_MERGED	0xfffffffeu

#define RESPLICE_SYMBOL_FUNC	0x1u
#define RESPLICE_SYMBOL_GLOBAL	0x2u
#define RESPLICE_SYMBOL_WEAK	0x4u

struct resplice_function {
	__u32 symbol;
	__u32 section;			/* a TEXT section */
	__u32 offset;
	__u32 size;			/* ELF size, without padding */
	__u32 parent;			/* F for F.cold: index; or RESPLICE_NONE */
	__u32 flags;			/* RESPLICE_FUNCTION_* */
};

#define RESPLICE_FUNCTION_FENTRY 0x1u	/* a 5-byte fentry slot at +0, or behind the endbr */
#define RESPLICE_FUNCTION_ENDBR	0x2u	/* an endbr64 at +0 */

struct resplice_reloc {
	__u32 offset;			/* of the field, from the section's or variant's start */
	__u32 type;			/* R_X86_64_* */
	__u32 symbol;
	__u32 reserved;
	__s64 addend;
};

/*
 * A place where running text may lawfully differ from the reference object.
 * Relocations that lie inside a site belong to its original form.
 */
struct resplice_site {
	__u32 offset;
	__u16 kind;			/* RESPLICE_SITE_* */
	__u16 len;			/* bytes */
	__u32 a;
	__u32 b;
};

#define RESPLICE_SITE_FENTRY	1u	/* call __fentry__ | nop5 | call tracer */
#define RESPLICE_SITE_RETURN	2u	/* jmp return thunk | ret; int3 x4 */
#define RESPLICE_SITE_RETPOLINE	3u	/* call/jmp/jcc thunk | inline; a: register 0..15 */
#define RESPLICE_SITE_ALT	4u	/* a: first variant, b: number of variants */
#define RESPLICE_SITE_PARAVIRT	5u	/* a: index of the operation in pv_ops */
#define RESPLICE_SITE_SMP_LOCK	6u	/* f0 | 3e */
#define RESPLICE_SITE_JUMP_LABEL 7u	/* nop | jmp; a: section, b: offset of the target */
#define RESPLICE_SITE_STATIC_CALL 8u	/* a: the key's symbol, b: 1 if a tail call */
#define RESPLICE_SITE_TRAMPOLINE 9u	/* __SCT__ trampoline; a: the key's symbol */
#define RESPLICE_SITE_ENDBR	10u	/* endbr64 | sealed */
#define RESPLICE_SITE_RUNTIME_CONST 11u	/* the value of a variable; a: its symbol */

struct resplice_variant {
	__u32 bytes;			/* into the byte pool; may be empty */
	__u32 len;
	__u32 first_reloc, nr_relocs;	/* offsets from the variant's start */
	__u32 section;			/* .altinstr_replacement: not resident */
	__u32 offset;			/* of the variant in that section */
	__u32 feature;			/* cpuid word as in struct alt_instr */
	__u32 reserved;
};

#endif /* RESPLICE_FORMAT_H */
