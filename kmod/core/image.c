// SPDX-License-Identifier: GPL-2.0-only
#include <linux/elf.h>
#include <linux/log2.h>
#include <linux/string.h>

#include "image.h"
#include "report.h"

#define bad(fmt, ...) rs_refuse(-ENOEXEC, "format", "match image: " fmt, ##__VA_ARGS__)

u32 rs_reloc_width(u32 type)
{
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
	case R_X86_64_32:
	case R_X86_64_32S:
		return 4;
	default:
		return 0;
	}
}

static bool slice_ok(u32 first, u32 count, u32 total)
{
	return first <= total && count <= total - first;
}

static const void *table(const struct rs_image *image, const struct resplice_table *t,
			 size_t element, u32 limit, u32 *count)
{
	u64 end = (u64)t->offset + (u64)t->count * element;

	if (t->count > limit || t->offset % 8 || end > image->head->size)
		return NULL;
	*count = t->count;
	return (const u8 *)image->head + t->offset;
}

static int open_tables(struct rs_image *image)
{
	const struct resplice_match *h = image->head;

	image->units = table(image, &h->units, sizeof(*image->units),
			     RESPLICE_MAX_UNITS, &image->nr_units);
	image->sections = table(image, &h->sections, sizeof(*image->sections),
				RESPLICE_MAX_SECTIONS, &image->nr_sections);
	image->symbols = table(image, &h->symbols, sizeof(*image->symbols),
			       RESPLICE_MAX_SYMBOLS, &image->nr_symbols);
	image->functions = table(image, &h->functions, sizeof(*image->functions),
				 RESPLICE_MAX_SYMBOLS, &image->nr_functions);
	image->relocs = table(image, &h->relocs, sizeof(*image->relocs),
			      RESPLICE_MAX_RELOCS, &image->nr_relocs);
	image->sites = table(image, &h->sites, sizeof(*image->sites),
			     RESPLICE_MAX_RELOCS, &image->nr_sites);
	image->variants = table(image, &h->variants, sizeof(*image->variants),
				RESPLICE_MAX_RELOCS, &image->nr_variants);
	image->strings = table(image, &h->strings, 1, RESPLICE_MAX_IMAGE,
			       &image->nr_strings);
	image->bytes = table(image, &h->bytes, 1, RESPLICE_MAX_IMAGE, &image->nr_bytes);
	if (!image->units || !image->sections || !image->symbols || !image->functions ||
	    !image->relocs || !image->sites || !image->variants || !image->strings ||
	    !image->bytes)
		return bad("a table lies outside it or is too long");
	/* The last byte ends every string, so that names need no length. */
	if (!image->nr_strings || image->strings[0] ||
	    image->strings[image->nr_strings - 1])
		return bad("the strings are not terminated");
	return 0;
}

static bool name_ok(const struct rs_image *image, u32 offset)
{
	return offset < image->nr_strings &&
	       strnlen(image->strings + offset, RESPLICE_MAX_NAME) < RESPLICE_MAX_NAME;
}

static int check_relocs(const struct rs_image *image, u32 first, u32 count, u32 size)
{
	u32 i, end = 0;

	for (i = first; i < first + count; i++) {
		const struct resplice_reloc *r = &image->relocs[i];
		u32 width = rs_reloc_width(r->type);

		if (!width)
			return bad("relocation %u has the unknown type %u", i, r->type);
		if (r->symbol >= image->nr_symbols || r->offset < end ||
		    !slice_ok(r->offset, width, size))
			return bad("relocation %u is out of order or range", i);
		end = r->offset + width;
	}
	return 0;
}

static bool site_ok(const struct rs_image *image, const struct resplice_site *s,
		    const struct resplice_section *section)
{
	switch (s->kind) {
	case RESPLICE_SITE_FENTRY:
	case RESPLICE_SITE_RETURN:
		return s->len == 5;
	case RESPLICE_SITE_RETPOLINE:
		return (s->len == 5 || s->len == 6) && s->a < 16;
	case RESPLICE_SITE_ALT:
		return s->len && s->len <= 255 && slice_ok(s->a, s->b, image->nr_variants);
	case RESPLICE_SITE_PARAVIRT:
		return s->len >= 5 && s->len <= 64 && s->a < 256;
	case RESPLICE_SITE_SMP_LOCK:
		return s->len == 1;
	case RESPLICE_SITE_JUMP_LABEL:
		return (s->len == 2 || s->len == 5) && s->a < image->nr_sections &&
		       image->sections[s->a].unit == section->unit &&
		       s->b < image->sections[s->a].size;
	case RESPLICE_SITE_STATIC_CALL:
		return (s->len == 5 || s->len == 6) && s->a < image->nr_symbols;
	case RESPLICE_SITE_TRAMPOLINE:
		return s->len == 8 && s->a < image->nr_symbols;
	case RESPLICE_SITE_ENDBR:
		return s->len == 4;
	case RESPLICE_SITE_RUNTIME_CONST:
		return (s->len == 8 || s->len == 1) && s->a < image->nr_symbols;
	default:
		return false;
	}
}

static int check_sites(const struct rs_image *image, const struct resplice_section *sec)
{
	u32 i, last = 0;

	for (i = sec->first_site; i < sec->first_site + sec->nr_sites; i++) {
		const struct resplice_site *s = &image->sites[i];

		if (s->offset < last || !slice_ok(s->offset, s->len, sec->size) ||
		    !site_ok(image, s, sec))
			return bad("site %u of kind %u is out of order or range", i, s->kind);
		last = s->offset;
	}
	return 0;
}

static int check_functions(const struct rs_image *image, u32 index)
{
	const struct resplice_section *sec = &image->sections[index];
	u32 i, last = 0;

	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &image->functions[i];

		if (f->section != index || f->symbol >= image->nr_symbols ||
		    f->offset < last || !slice_ok(f->offset, f->size, sec->size) ||
		    (f->parent != RESPLICE_NONE && f->parent >= image->nr_functions))
			return bad("function %u is out of order or range", i);
		if (f->size < rs_function_entry_bytes(f))
			return bad("function %u is shorter than its entry", i);
		last = f->offset;
	}
	return 0;
}

static int check_sections(const struct rs_image *image)
{
	u32 i;
	int err;

	for (i = 0; i < image->nr_sections; i++) {
		const struct resplice_section *s = &image->sections[i];

		if (s->unit >= image->nr_units || !name_ok(image, s->name) ||
		    s->kind > RESPLICE_SECTION_INIT || !is_power_of_2(s->align) ||
		    s->size > RESPLICE_MAX_IMAGE ||
		    !slice_ok(s->first_reloc, s->nr_relocs, image->nr_relocs) ||
		    !slice_ok(s->first_site, s->nr_sites, image->nr_sites) ||
		    !slice_ok(s->first_function, s->nr_functions, image->nr_functions))
			return bad("section %u is out of range", i);
		if (s->kind != RESPLICE_SECTION_TEXT) {
			if (s->nr_relocs || s->nr_sites || s->nr_functions)
				return bad("section %u is no text but has code", i);
			continue;
		}
		if (!slice_ok(s->bytes, s->size, image->nr_bytes))
			return bad("section %u has no contents", i);
		err = check_relocs(image, s->first_reloc, s->nr_relocs, s->size);
		err = err ?: check_sites(image, s);
		err = err ?: check_functions(image, i);
		if (err)
			return err;
	}
	return 0;
}

static int check_symbols(const struct rs_image *image)
{
	u32 i;

	for (i = 0; i < image->nr_symbols; i++) {
		const struct resplice_symbol *s = &image->symbols[i];

		if (!name_ok(image, s->name) || s->unit >= image->nr_units)
			return bad("symbol %u is out of range", i);
		if (s->section == RESPLICE_SYMBOL_EXTERNAL) {
			if (!s->name)
				return bad("symbol %u is external and nameless", i);
		} else if (s->section == RESPLICE_SYMBOL_MERGED) {
			if (!s->size || !slice_ok(s->value, s->size, image->nr_bytes))
				return bad("constant %u is out of range", i);
		} else if (s->section >= image->nr_sections ||
			   image->sections[s->section].unit != s->unit ||
			   s->value > image->sections[s->section].size) {
			return bad("symbol %u lies outside its section", i);
		}
	}
	return 0;
}

static int check_rest(const struct rs_image *image)
{
	u32 i;
	int err;

	for (i = 0; i < image->nr_units; i++)
		if (!name_ok(image, image->units[i].name))
			return bad("unit %u has no name", i);
	for (i = 0; i < image->nr_functions; i++) {
		const struct resplice_function *f = &image->functions[i];

		/* Reached through its section's list, or not at all. */
		if (f->section >= image->nr_sections ||
		    image->sections[f->section].kind != RESPLICE_SECTION_TEXT ||
		    i - image->sections[f->section].first_function >=
		    image->sections[f->section].nr_functions)
			return bad("function %u belongs to no section", i);
	}
	for (i = 0; i < image->nr_variants; i++) {
		const struct resplice_variant *v = &image->variants[i];

		if (!slice_ok(v->bytes, v->len, image->nr_bytes) || v->len > 255 ||
		    !slice_ok(v->first_reloc, v->nr_relocs, image->nr_relocs))
			return bad("variant %u is out of range", i);
		err = check_relocs(image, v->first_reloc, v->nr_relocs, v->len);
		if (err)
			return err;
	}
	return 0;
}

int rs_image_open(struct rs_image *image, const void *data, u64 size)
{
	const struct resplice_match *head = data;
	int err;

	if (size < sizeof(*head) || size > RESPLICE_MAX_IMAGE || (unsigned long)data % 8)
		return bad("%llu bytes are no image", size);
	if (head->magic != RESPLICE_MATCH_MAGIC || head->format != RESPLICE_FORMAT)
		return bad("format %u, this core reads %u", head->format, RESPLICE_FORMAT);
	if (head->size != size)
		return bad("it says %u bytes and has %llu", head->size, size);
	image->head = head;
	err = open_tables(image);
	if (err)
		return err;
	if (!head->object || !name_ok(image, head->object))
		return bad("it names no object");
	err = check_sections(image);
	err = err ?: check_symbols(image);
	err = err ?: check_rest(image);
	return err;
}
