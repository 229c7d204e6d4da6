// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run-pre matching, after Arnold and Kaashoek, "Ksplice: Automatic Rebootless
 * Kernel Updates" (EuroSys 2009), section 4: the running code itself tells
 * what its symbols are, and a difference that is not understood ends it.
 *
 * The unit of matching is a section of a translation unit: the linker keeps
 * it in one piece, so a single base address accounts for all of its bytes,
 * padding between functions included.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "match.h"
#include "report.h"

#define TRAIL_SECTION	0x80000000u	/* a trail entry that names a section */

const struct resplice_section *rs_section_of(struct rs_match *m, u32 index)
{
	return &m->image->sections[index];
}

const char *rs_unit_name(struct rs_match *m, u32 section)
{
	return rs_string(m->image, m->image->units[rs_section_of(m, section)->unit].name);
}

const char *rs_section_name(struct rs_match *m, u32 section)
{
	return rs_string(m->image, rs_section_of(m, section)->name);
}

/* ------------------------------ what is learnt ---------------------------- */

void rs_match_rollback(struct rs_match *m, u32 mark)
{
	while (m->nr_trail > mark) {
		u32 what = m->trail[--m->nr_trail];

		if (what & TRAIL_SECTION)
			clear_bit(what & ~TRAIL_SECTION, m->base_known);
		else
			clear_bit(what, m->value_known);
	}
}

bool rs_bind_base(struct rs_match *m, u32 section, unsigned long base)
{
	if (test_bit(section, m->base_known))
		return m->base[section] == base;
	if (base & (rs_section_of(m, section)->align - 1))
		return false;
	m->base[section] = base;
	set_bit(section, m->base_known);
	m->trail[m->nr_trail++] = section | TRAIL_SECTION;
	return true;
}

/* Another module's symbols are not in the name table, so it has no say there. */
bool rs_name_agrees(struct rs_match *m, const char *name, unsigned long value)
{
	const struct rs_name *known = rs_names_get(&m->names, name);

	if (!known || !known->count || rs_name_has(known, value))
		return true;
	return m->mod && value >= MODULES_VADDR && value < MODULES_END &&
	       !within_module(value, m->mod);
}

static bool constant_agrees(struct rs_match *m, const struct resplice_symbol *sym,
			    unsigned long address)
{
	const u8 *want = m->image->bytes + sym->value;
	u8 found[64];
	u32 done, len;

	for (done = 0; done < sym->size; done += len) {
		len = min_t(u32, sym->size - done, sizeof(found));
		if (copy_from_kernel_nofault(found, (void *)address + done, len) ||
		    memcmp(found, want + done, len))
			return false;
	}
	return true;
}

bool rs_bind_symbol(struct rs_match *m, u32 symbol, unsigned long value)
{
	const struct resplice_symbol *sym = &m->image->symbols[symbol];

	if (sym->section == RESPLICE_SYMBOL_MERGED)
		return constant_agrees(m, sym, value);
	if (rs_symbol_placed(sym))
		return rs_bind_base(m, sym->section, value - sym->value);
	if (test_bit(symbol, m->value_known))
		return m->value[symbol] == value;
	if (!rs_name_agrees(m, rs_symbol_name(m->image, symbol), value))
		return false;
	m->value[symbol] = value;
	set_bit(symbol, m->value_known);
	m->trail[m->nr_trail++] = symbol;
	return true;
}

/* ----------------------------- comparing bytes ---------------------------- */

static bool differ(struct rs_match *m, const u8 *ref, const u8 *run, u32 len,
		   unsigned long address, const char *why)
{
	struct rs_mismatch *d = &m->mismatch;

	if (d->why)
		return false;
	d->why = why;
	d->len = min_t(u32, len, sizeof(d->found));
	d->address = address;
	memcpy(d->expected, ref, d->len);
	memcpy(d->found, run, d->len);
	return false;
}

/* Bytes without relocations. Returns where they part, or len. */
static u32 equal_bytes(const u8 *ref, const u8 *run, u32 len, bool nops)
{
	u32 i = 0, n;

	while (i < len) {
		if (ref[i] == run[i]) {
			i++;
			continue;
		}
		if (!nops || ref[i] != 0x90)
			return i;
		for (n = 0; i + n < len && ref[i + n] == 0x90; n++)
			;
		if (rs_nops_len(run + i, n) != n)
			return i;
		i += n;
	}
	return len;
}

/* What the running field says its symbol is. */
static unsigned long field_symbol(const struct resplice_reloc *r, const u8 *run,
				  unsigned long address)
{
	s32 word;
	u64 quad;

	if (rs_reloc_width(r->type) == sizeof(quad)) {
		memcpy(&quad, run, sizeof(quad));
		return quad - r->addend + (r->type == R_X86_64_PC64 ? address : 0);
	}
	memcpy(&word, run, sizeof(word));
	switch (r->type) {
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return address + word - r->addend;
	case R_X86_64_32:
		return (u32)word - r->addend;
	default:
		return word - r->addend;
	}
}

bool rs_match_piece(struct rs_match *m, const struct rs_piece *p)
{
	u32 pos = 0, i, stop, same;

	for (i = 0; i <= p->nr_relocs; i++) {
		const struct resplice_reloc *r = i < p->nr_relocs ? &p->relocs[i] : NULL;

		stop = r ? r->offset - p->origin : p->len;
		same = equal_bytes(p->ref + pos, p->run + pos, stop - pos, p->nops);
		if (same != stop - pos)
			return differ(m, p->ref + pos + same, p->run + pos + same,
				      stop - pos - same, p->address + pos + same,
				      "other bytes");
		if (!r)
			break;
		if (!rs_bind_symbol(m, r->symbol,
				    field_symbol(r, p->run + stop, p->address + stop)))
			return differ(m, p->ref + stop, p->run + stop,
				      rs_reloc_width(r->type), p->address + stop,
				      rs_symbol_name(m->image, r->symbol));
		pos = stop + rs_reloc_width(r->type);
	}
	return true;
}

/* The stretch up to the next site or the end: plain bytes and relocations. */
static bool match_plain(struct rs_match *m, struct rs_cursor *at, u32 from, u32 to, bool nops)
{
	const struct resplice_section *sec = at->section;
	u32 end = sec->first_reloc + sec->nr_relocs, first = at->reloc;
	struct rs_piece piece = {
		.ref = m->image->bytes + sec->bytes + from,
		.run = m->run + from,
		.address = at->base + from,
		.len = to - from,
		.relocs = m->image->relocs + first,
		.origin = from,
		.nops = nops,
	};

	while (at->reloc < end && m->image->relocs[at->reloc].offset < to)
		at->reloc++;
	piece.nr_relocs = at->reloc - first;
	return rs_match_piece(m, &piece);
}

void rs_cursor_skip(struct rs_match *m, struct rs_cursor *at, u32 offset)
{
	const struct resplice_section *sec = at->section;

	while (at->reloc < sec->first_reloc + sec->nr_relocs &&
	       m->image->relocs[at->reloc].offset < offset)
		at->reloc++;
	while (at->site < sec->first_site + sec->nr_sites &&
	       m->image->sites[at->site].offset < offset)
		at->site++;
}

bool rs_match_span(struct rs_match *m, struct rs_cursor *at, u32 from, u32 to, bool nops)
{
	const struct resplice_section *sec = at->section;
	u32 last = sec->first_site + sec->nr_sites;

	while (from < to) {
		const struct resplice_site *site =
			at->site < last ? &m->image->sites[at->site] : NULL;
		u32 stop = site ? min(site->offset, to) : to;

		if (stop > from && !match_plain(m, at, from, stop, nops))
			return false;
		from = stop;
		if (from == to)
			break;
		/* A function that ends inside a site has been misread. */
		if (site->len > to - from)
			return differ(m, m->image->bytes + sec->bytes + from,
				      m->run + from, to - from, at->base + from,
				      "site beyond its function");
		if (!rs_site_match(m, at, site)) {
			m->mismatch.why = NULL;
			return differ(m, m->image->bytes + sec->bytes + from,
				      m->run + from, site->len, at->base + from,
				      "no lawful form of a patched site");
		}
		m->mismatch.why = NULL;	/* forms that were tried in vain */
		from += site->len;
		rs_cursor_skip(m, at, from);
	}
	return true;
}

/* --------------------------- addresses for others ------------------------- */

int rs_match_resolve(struct rs_match *m, u32 symbol, unsigned long *address)
{
	const struct resplice_symbol *sym = &m->image->symbols[symbol];
	const char *name = rs_symbol_name(m->image, symbol);
	const struct rs_name *known;

	if (sym->section == RESPLICE_SYMBOL_MERGED)
		return rs_refuse(-EINVAL, "format", "a merged constant has no one address");
	if (rs_symbol_placed(sym)) {
		if (rs_section_of(m, sym->section)->kind == RESPLICE_SECTION_INIT)
			return rs_refuse(-EINVAL, "init", "%s is freed after boot", name);
		if (test_bit(sym->section, m->base_known)) {
			*address = m->base[sym->section] + sym->value;
			return 0;
		}
	} else if (test_bit(symbol, m->value_known)) {
		*address = m->value[symbol];
		return 0;
	}
	known = sym->name ? rs_names_get(&m->names, name) : NULL;
	if (!known || !known->count)
		return rs_refuse(-ENOENT, "unresolved", "nothing tells where %s is",
				 sym->name ? name : rs_section_name(m, sym->section));
	if (known->count > 1)
		return rs_refuse(-ENOTUNIQ, "ambiguous",
				 "%u symbols are called %s and no matched code refers to it",
				 known->count, name);
	*address = known->address[0];
	return 0;
}

bool rs_match_is_used(struct rs_match *m, u32 symbol, unsigned long address)
{
	return rs_name_agrees(m, rs_symbol_name(m->image, symbol), address);
}

/* --------------------------------- lifetime ------------------------------- */

static int collect_names(struct rs_match *m)
{
	u32 i;
	int err;

	rs_names_init(&m->names);
	for (i = 0; i < m->image->nr_symbols; i++) {
		if (!m->image->symbols[i].name)
			continue;
		err = rs_names_add(&m->names, rs_symbol_name(m->image, i));
		if (err)
			return err;
	}
	err = rs_names_find(&m->names, NULL);
	if (!err && m->mod)
		err = rs_names_find(&m->names, m->mod);
	return err;
}

int rs_match_init(struct rs_match *m, const struct rs_image *image, struct module *mod)
{
	u32 i, largest = 1;
	size_t symbols = max(image->nr_symbols, 1u), sections = max(image->nr_sections, 1u);

	memset(m, 0, sizeof(*m));
	m->image = image;
	m->mod = mod;
	for (i = 0; i < image->nr_sections; i++)
		if (image->sections[i].kind == RESPLICE_SECTION_TEXT)
			largest = max(largest, image->sections[i].size);
	m->value = kvcalloc(symbols, sizeof(*m->value), GFP_KERNEL);
	m->base = kvcalloc(sections, sizeof(*m->base), GFP_KERNEL);
	m->value_known = kvcalloc(BITS_TO_LONGS(symbols), sizeof(long), GFP_KERNEL);
	m->base_known = kvcalloc(BITS_TO_LONGS(sections), sizeof(long), GFP_KERNEL);
	m->matched = kvcalloc(BITS_TO_LONGS(sections), sizeof(long), GFP_KERNEL);
	m->trail = kvcalloc(symbols + sections, sizeof(*m->trail), GFP_KERNEL);
	m->run = kvmalloc(largest, GFP_KERNEL);
	if (!m->value || !m->base || !m->value_known || !m->base_known ||
	    !m->matched || !m->trail || !m->run)
		return -ENOMEM;
	return collect_names(m);
}

void rs_match_free(struct rs_match *m)
{
	rs_names_free(&m->names);
	kvfree(m->run);
	kvfree(m->trail);
	kvfree(m->matched);
	kvfree(m->base_known);
	kvfree(m->value_known);
	kvfree(m->base);
	kvfree(m->value);
}
