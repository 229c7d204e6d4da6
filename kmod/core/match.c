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
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "match.h"
#include "report.h"
#include "update.h"

#define TRAIL_SECTION	0x80000000u	/* a trail entry that names a section */

static const struct resplice_section *section_of(struct rs_match *m, u32 index)
{
	return &m->image->sections[index];
}

static const char *unit_name(struct rs_match *m, u32 section)
{
	return rs_string(m->image, m->image->units[section_of(m, section)->unit].name);
}

static const char *section_name(struct rs_match *m, u32 section)
{
	return rs_string(m->image, section_of(m, section)->name);
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
	if (base & (section_of(m, section)->align - 1))
		return false;
	m->base[section] = base;
	set_bit(section, m->base_known);
	m->trail[m->nr_trail++] = section | TRAIL_SECTION;
	return true;
}

/* Another module's symbols are not in the name table, so it has no say there. */
static bool name_agrees(struct rs_match *m, const char *name, unsigned long value)
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
	if (!name_agrees(m, rs_symbol_name(m->image, symbol), value))
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

/*
 * The length of the one nop that starts here, in the encodings that the
 * kernel's own x86_nops have (1 to 8 bytes); 0 if it is none of them.
 */
static u32 nop_len(const u8 *code, u32 len)
{
	static const u8 nops[8][8] = {
		{ 0x90 },
		{ 0x66, 0x90 },
		{ 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
	};
	u32 n;

	for (n = min_t(u32, len, 8); n; n--)
		if (!memcmp(code, nops[n - 1], n))
			return n;
	return 0;
}

/* How many of these bytes, from the start, are whole nops. */
u32 rs_nops_len(const u8 *code, u32 len)
{
	u32 done = 0, n;

	while (done < len && (n = nop_len(code + done, len - done)))
		done += n;
	return done;
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

static void skip_to(struct rs_match *m, struct rs_cursor *at, u32 offset)
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
		skip_to(m, at, from);
	}
	return true;
}

/* ---------------------------- placing a section --------------------------- */

static bool in_object(struct rs_match *m, unsigned long base, u32 size)
{
	if (m->mod)
		return within_module_core(base, m->mod) &&
		       within_module_core(base + size - 1, m->mod);
	return base >= rs_kernel.text_start && base < rs_kernel.text_end &&
	       size <= rs_kernel.text_end - base;
}

/* Each function's name must be known at its address, where it is known at all. */
static bool names_agree(struct rs_match *m, const struct resplice_section *sec,
			unsigned long base)
{
	u32 i;

	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];

		if (m->image->symbols[f->symbol].flags & RESPLICE_SYMBOL_WEAK)
			continue;
		if (!name_agrees(m, rs_symbol_name(m->image, f->symbol), base + f->offset))
			return false;
	}
	return true;
}

static void report_function(struct rs_match *m, u32 section,
			    const struct resplice_function *f, bool ok)
{
	const struct rs_mismatch *d = &m->mismatch;

	if (ok)
		rs_report("function: %s %s %s matched\n", unit_name(m, section),
			  section_name(m, section), rs_symbol_name(m->image, f->symbol));
	else
		rs_report("function: %s %s %s mismatch +0x%lx expected %*phN found %*phN (%s)\n",
			  unit_name(m, section), section_name(m, section),
			  rs_symbol_name(m->image, f->symbol),
			  d->offset - (unsigned long)f->offset, d->len, d->expected,
			  d->len, d->found, d->why);
}

/*
 * Compare at one base, function by function with the gaps between them.
 * Returns how many spans differ; stops at the first unless all are wanted.
 */
static u32 compare_at(struct rs_match *m, u32 index, unsigned long base, bool all)
{
	const struct resplice_section *sec = section_of(m, index);
	struct rs_cursor at = {
		.section = sec, .base = base,
		.reloc = sec->first_reloc, .site = sec->first_site,
	};
	u32 i, from = 0, wrong = 0;

	for (i = 0; i <= sec->nr_functions; i++) {
		const struct resplice_function *f = i < sec->nr_functions ?
			&m->image->functions[sec->first_function + i] : NULL;
		u32 start = f ? f->offset : sec->size, mark = m->nr_trail;
		bool ok = true;

		if (start > from)
			ok = rs_match_span(m, &at, from, start, false);
		from = max(from, start);
		/* An alias has no bytes of its own. */
		if (ok && f && f->offset + f->size > from) {
			ok = rs_match_span(m, &at, from, f->offset + f->size, false);
			from = f->offset + f->size;
		}
		if (!ok) {
			wrong++;
			m->mismatch.section = index;
			m->mismatch.offset = m->mismatch.address - base;
			rs_match_rollback(m, mark);
			if (!all)
				return wrong;
			skip_to(m, &at, from);
		}
		if (all && f)
			report_function(m, index, f, ok);
		if (all)
			m->mismatch.why = NULL;
		cond_resched();
	}
	return wrong;
}

/*
 * Try one base. The text may be patched under us (a static key flips), so a
 * difference is believed only when it is seen three times.
 */
static bool try_base(struct rs_match *m, u32 index, unsigned long base)
{
	const struct resplice_section *sec = section_of(m, index);
	u32 mark = m->nr_trail;
	int attempt;

	if (!in_object(m, base, sec->size) || !names_agree(m, sec, base))
		return false;
	for (attempt = 0; attempt < 3; attempt++) {
		m->mismatch.why = NULL;
		if (copy_from_kernel_nofault(m->run, (void *)base, sec->size))
			return false;
		rs_updates_hide_jumps(m->run, base, sec->size);
		if (rs_bind_base(m, index, base) && !compare_at(m, index, base, false))
			return true;
		rs_match_rollback(m, mark);
	}
	return false;
}

/* The function of this section whose name leaves the fewest places to look at. */
static const struct rs_name *rarest_function(struct rs_match *m,
					     const struct resplice_section *sec, u32 *offset)
{
	const struct rs_name *best = NULL;
	u32 i;

	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];
		const struct rs_name *name;

		if (m->image->symbols[f->symbol].flags & RESPLICE_SYMBOL_WEAK)
			continue;
		name = rs_names_get(&m->names, rs_symbol_name(m->image, f->symbol));
		if (!name || !name->count || (best && best->count <= name->count))
			continue;
		best = name;
		*offset = f->offset;
	}
	return best;
}

/*
 * Find the places where a section matches. Returns their number; with one,
 * what it taught stays bound. best_base is the nearest miss.
 */
static u32 place_section(struct rs_match *m, u32 index, unsigned long *best_base,
			 struct rs_mismatch *best)
{
	const struct rs_name *anchor;
	unsigned long found = 0;
	u32 offset, i, count = 0, mark = m->nr_trail;

	if (test_bit(index, m->base_known)) {
		*best_base = m->base[index];
		if (try_base(m, index, *best_base))
			return 1;
		*best = m->mismatch;
		return 0;
	}
	anchor = rarest_function(m, section_of(m, index), &offset);
	for (i = 0; anchor && i < anchor->count; i++) {
		unsigned long base = anchor->address[i] - offset;

		m->mismatch.why = NULL;
		if (try_base(m, index, base)) {
			count++;
			found = base;
			rs_match_rollback(m, mark);
		} else if (m->mismatch.why && (!best->why || m->mismatch.offset > best->offset)) {
			*best = m->mismatch;
			*best_base = base;
		}
	}
	if (count == 1 && !try_base(m, index, found))
		return 0;
	return count;
}

static void report_section_functions(struct rs_match *m, u32 index, unsigned long base)
{
	const struct resplice_section *sec = section_of(m, index);
	u32 mark = m->nr_trail;

	m->mismatch.why = NULL;
	if (!base || !in_object(m, base, sec->size) ||
	    copy_from_kernel_nofault(m->run, (void *)base, sec->size)) {
		rs_report("section: %s %s not found\n", unit_name(m, index),
			  section_name(m, index));
		return;
	}
	rs_updates_hide_jumps(m->run, base, sec->size);
	if (!rs_bind_base(m, index, base) || compare_at(m, index, base, true))
		rs_match_rollback(m, mark);
}

static int report_failure(struct rs_match *m, u32 index, u32 places,
			  const struct rs_mismatch *best)
{
	const struct resplice_section *sec = section_of(m, index);
	const char *in = "padding";
	u32 i, offset = best->offset;

	if (places > 1)
		return rs_refuse(-ENOTUNIQ, "ambiguous", "%s %s matches at %u places",
				 unit_name(m, index), section_name(m, index), places);
	if (!best->why)
		return rs_refuse(-ENOENT, "missing",
				 "%s %s: none of its functions is in this kernel",
				 unit_name(m, index), section_name(m, index));
	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];

		if (best->offset - f->offset < f->size) {
			in = rs_symbol_name(m->image, f->symbol);
			offset = best->offset - f->offset;
		}
	}
	return rs_refuse(-EILSEQ, "mismatch",
			 "%s+0x%x (%s %s): expected %*ph, found %*ph: %s", in, offset,
			 unit_name(m, index), section_name(m, index), best->len,
			 best->expected, best->len, best->found, best->why);
}

static bool wanted(struct rs_match *m, u32 index)
{
	const struct resplice_section *sec = section_of(m, index);

	return sec->kind == RESPLICE_SECTION_TEXT && sec->size &&
	       !test_bit(index, m->matched);
}

int rs_match_run(struct rs_match *m, bool each_function)
{
	bool progress = true;
	u32 i, places, failed = 0, nr = m->image->nr_sections;
	int err = 0;

	/* Matched text places other sections: go round until nothing is learnt. */
	while (progress) {
		progress = false;
		for (i = 0; i < nr; i++) {
			struct rs_mismatch best = { .why = NULL };
			unsigned long base = 0;

			if (!wanted(m, i) || place_section(m, i, &base, &best) != 1)
				continue;
			set_bit(i, m->matched);
			progress = true;
			if (each_function)
				report_section_functions(m, i, m->base[i]);
			else
				rs_report("matched: %s %s, %u bytes, %u functions\n",
					  unit_name(m, i), section_name(m, i),
					  section_of(m, i)->size,
					  section_of(m, i)->nr_functions);
		}
	}
	for (i = 0; i < nr; i++) {
		struct rs_mismatch best = { .why = NULL };
		unsigned long base = 0;

		if (!wanted(m, i))
			continue;
		failed++;
		places = place_section(m, i, &base, &best);
		err = report_failure(m, i, places, &best);
		if (each_function)
			report_section_functions(m, i, base);
	}
	return failed ? err : 0;
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
		if (section_of(m, sym->section)->kind == RESPLICE_SECTION_INIT)
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
				 sym->name ? name : section_name(m, sym->section));
	if (known->count > 1)
		return rs_refuse(-ENOTUNIQ, "ambiguous",
				 "%u symbols are called %s and no matched code refers to it",
				 known->count, name);
	*address = known->address[0];
	return 0;
}

bool rs_match_is_used(struct rs_match *m, u32 symbol, unsigned long address)
{
	return name_agrees(m, rs_symbol_name(m->image, symbol), address);
}

int rs_match_read(struct rs_match *m, u32 section, u32 offset, u8 *out, u32 len)
{
	if (!test_bit(section, m->matched) || !try_base(m, section, m->base[section]))
		return rs_refuse(-EILSEQ, "changed", "%s %s changed after it was matched",
				 unit_name(m, section), section_name(m, section));
	memcpy(out, m->run + offset, len);
	return 0;
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
