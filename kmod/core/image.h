/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RESPLICE_IMAGE_H
#define RESPLICE_IMAGE_H

#include <resplice/format.h>

/*
 * A match image whose every index, offset and order has been checked by
 * rs_image_open: from there on it is used without further checks.
 */
struct rs_image {
	const struct resplice_match *head;
	const struct resplice_unit *units;
	const struct resplice_section *sections;
	const struct resplice_symbol *symbols;
	const struct resplice_function *functions;
	const struct resplice_reloc *relocs;
	const struct resplice_site *sites;
	const struct resplice_variant *variants;
	const char *strings;
	const u8 *bytes;
	u32 nr_units, nr_sections, nr_symbols, nr_functions, nr_relocs;
	u32 nr_sites, nr_variants, nr_strings, nr_bytes;
};

int rs_image_open(struct rs_image *image, const void *data, u64 size);

/* Bytes of a relocated field; 0 for a type that is not understood. */
u32 rs_reloc_width(u32 type);

static inline const char *rs_string(const struct rs_image *image, u32 offset)
{
	return image->strings + offset;
}

static inline const char *rs_symbol_name(const struct rs_image *image, u32 symbol)
{
	return rs_string(image, image->symbols[symbol].name);
}

/* What stays in front of a function's jump: its endbr and its fentry slot. */
static inline u32 rs_function_entry_bytes(const struct resplice_function *f)
{
	return (f->flags & RESPLICE_FUNCTION_ENDBR ? 4 : 0) +
	       (f->flags & RESPLICE_FUNCTION_FENTRY ? 5 : 0);
}

static inline bool rs_symbol_placed(const struct resplice_symbol *symbol)
{
	return symbol->section < RESPLICE_SYMBOL_MERGED;
}

#endif /* RESPLICE_IMAGE_H */
