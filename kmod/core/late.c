// SPDX-License-Identifier: GPL-2.0-only
/*
 * Late relocations: fields of the update module that refer to what the kernel
 * does not export. They are filled in at MODULE_STATE_COMING, ahead of every
 * other notifier, so that jump labels, static calls and tracepoints of the
 * update find their keys; its text is read-only by then.
 */
#include <linux/elf.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/alternative.h>
#include <asm/cpufeature.h>

#include "data.h"
#include "image.h"
#include "late.h"
#include "match.h"
#include "report.h"
#include "text.h"

#ifdef ALTINSTR_FLAG_INV
#define FEATURE_NOT	ALTINSTR_FLAG_INV
#define FEATURE_ALL	U16_MAX
#else
#define FEATURE_NOT	(ALT_FLAG_NOT << ALT_FLAGS_SHIFT)
#define FEATURE_ALL	(U16_MAX | FEATURE_NOT)
#endif

static bool in_module(struct module *mod, unsigned long place, u32 width)
{
	unsigned long last = place + width - 1;

	return (within_module_core(place, mod) && within_module_core(last, mod)) ||
	       (within_module_init(place, mod) && within_module_init(last, mod));
}

/* The bytes for a field; fails if the value does not fit. */
static int field_value(const struct resplice_late *late, unsigned long symbol, u64 *value)
{
	u64 v = symbol + late->addend;

	switch (late->type) {
	case R_X86_64_64:
		break;
	case R_X86_64_PC64:
		v -= late->place;
		break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		v -= late->place;
		fallthrough;
	case R_X86_64_32S:
		if ((s64)v != (s32)v)
			return -ERANGE;
		break;
	case R_X86_64_32:
		if (v != (u32)v)
			return -ERANGE;
		break;
	default:
		return -EINVAL;
	}
	*value = v;
	return 0;
}

/* 1 if an alternative took the field's place, so that there is none to fill in. */
static int under_alternative(const struct resplice_late *late)
{
	u32 bit = late->feature & ~FEATURE_NOT;

	if (late->feature == RESPLICE_NONE)
		return 0;
	if (late->feature & ~FEATURE_ALL || bit >= (NCAPINTS + NBUGINTS) * 32)
		return rs_refuse(-ENOEXEC, "format",
				 "a late relocation under an alternative for feature %#x",
				 late->feature);
	return !boot_cpu_has(bit) == !!(late->feature & FEATURE_NOT);
}

static int late_symbol(struct rs_match *m, const struct resplice_update *head,
		       const struct resplice_late *late, unsigned long *symbol)
{
	if (m->image->symbols[late->symbol].section != RESPLICE_SYMBOL_MERGED)
		return rs_match_resolve(m, late->symbol, symbol);
	return rs_data_constant(m, (void *)(unsigned long)head->data, head->nr_data,
				late, symbol);
}

bool rs_late_is_constant(const struct resplice_late *late)
{
	return late->type == RESPLICE_LATE_CONST_PTR ||
	       late->type == RESPLICE_LATE_CONST_SHIFT;
}

static u32 late_width(const struct resplice_late *late)
{
	if (rs_late_is_constant(late))
		return late->type == RESPLICE_LATE_CONST_PTR ? 8 : 1;
	return rs_reloc_width(late->type);
}

/* What boot would have written, had the code been there. */
static int constant_value(struct rs_match *m, const struct resplice_late *late, u64 *value)
{
	*value = 0;
	if (!rs_match_constant(m, late->symbol, value, late_width(late)))
		return rs_refuse(-ENOENT, "unresolved",
				 "the kernel has not exactly one %s, whose contents are a constant of its code",
				 rs_symbol_name(m->image, late->symbol));
	return 0;
}

/* The bytes for a place that is to be filled in. */
static int late_value(struct rs_match *m, const struct resplice_update *head,
		      const struct resplice_late *late, u64 *value)
{
	unsigned long symbol;
	int err;

	if (rs_late_is_constant(late))
		return constant_value(m, late, value);
	err = late_symbol(m, head, late, &symbol);
	if (err)
		return err;
	err = field_value(late, symbol, value);
	if (err)
		return rs_refuse(err, "range", "%s is out of reach of the update",
				 rs_symbol_name(m->image, late->symbol));
	return 0;
}

static int late_one(struct rs_match *m, struct module *update,
		    const struct resplice_update *head,
		    const struct resplice_late *late, bool write)
{
	const struct rs_image *image = m->image;
	u32 width = late_width(late);
	struct rs_alias alias;
	u64 value, zero = 0;
	int err;

	if (!width || late->symbol >= image->nr_symbols || late->reserved ||
	    !in_module(update, late->place, width))
		return rs_refuse(-ENOEXEC, "format",
				 "a late relocation of type %u lies outside or is unknown",
				 late->type);
	if (rs_late_is_constant(late) && (late->addend || late->feature != RESPLICE_NONE))
		return rs_refuse(-ENOEXEC, "format",
				 "a constant of the kernel has an addend or a feature");
	err = under_alternative(late);
	if (err)
		return err < 0 ? err : 0;
	err = late_value(m, head, late, &value);
	if (err)
		return err;
	if (!write) {
		/* Something else has been here: then it is not ours to fill in. */
		if (memcmp((void *)late->place, &zero, width))
			return rs_refuse(-ENOEXEC, "format",
					 "the place for %s is not empty",
					 rs_symbol_name(image, late->symbol));
		return 0;
	}
	err = rs_alias_map(&alias, late->place, width);
	if (err)
		return rs_refuse(err, "memory", "cannot map the update's own text");
	memcpy(alias.at, &value, width);
	rs_alias_unmap(&alias);
	return 0;
}

int rs_late_apply(struct rs_match *m, struct module *update,
		  const struct resplice_update *head)
{
	const struct resplice_late *late = (void *)(unsigned long)head->late;
	u32 i, pass, count = head->nr_late;
	int err;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < count; i++) {
			err = late_one(m, update, head, &late[i], pass);
			if (err)
				return err;
		}
	if (count)
		rs_report("resolved: %u symbol references\n", count);
	return 0;
}
