// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where each section of a unit is in the running kernel: candidates by name,
 * one left by comparing, and what the sections that matched tell of others.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "match.h"
#include "probes.h"
#include "report.h"
#include "update.h"

/* In the kernel's own order. */
static void hold_text(void)
{
	if (rs_kernel.static_call_lock)
		mutex_lock(rs_kernel.static_call_lock);
	mutex_lock(rs_kernel.text_lock);
}

static void release_text(void)
{
	mutex_unlock(rs_kernel.text_lock);
	if (rs_kernel.static_call_lock)
		mutex_unlock(rs_kernel.static_call_lock);
}

static bool in_object(struct rs_match *m, unsigned long base, u32 size)
{
	if (m->mod)
		return within_module_core(base, m->mod) &&
		       within_module_core(base + size - 1, m->mod);
	return base >= rs_kernel.text_start && base < rs_kernel.text_end &&
	       size <= rs_kernel.text_end - base;
}

/*
 * The name of a weak function may stand for another unit's, be that in the
 * image or not: then it does not tell where this one is.
 */
static bool has_own_name(struct rs_match *m, const struct resplice_function *f)
{
	const struct resplice_symbol *sym = &m->image->symbols[f->symbol];

	return sym->section == f->section && sym->value == f->offset;
}

/* Each function's name must be known at its address, where it is known at all. */
static bool names_agree(struct rs_match *m, const struct resplice_section *sec,
			unsigned long base)
{
	u32 i;

	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];

		if (!has_own_name(m, f))
			continue;
		if (!rs_name_agrees(m, rs_symbol_name(m->image, f->symbol), base + f->offset))
			return false;
	}
	return true;
}

static void report_function(struct rs_match *m, u32 section,
			    const struct resplice_function *f, bool ok)
{
	const struct rs_mismatch *d = &m->mismatch;

	if (ok)
		rs_report("function: %s %s %s matched\n", rs_unit_name(m, section),
			  rs_section_name(m, section), rs_symbol_name(m->image, f->symbol));
	else
		rs_report("function: %s %s %s mismatch +0x%lx expected %*phN found %*phN (%s)\n",
			  rs_unit_name(m, section), rs_section_name(m, section),
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
	const struct resplice_section *sec = rs_section_of(m, index);
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
			rs_cursor_skip(m, &at, from);
		}
		if (all && f)
			report_function(m, index, f, ok);
		if (all)
			m->mismatch.why = NULL;
		cond_resched();
	}
	return wrong;
}

/* A copy of running text as it is without probes and updates. */
static bool read_text(struct rs_match *m, unsigned long base, u32 size)
{
	if (copy_from_kernel_nofault(m->run, (void *)base, size))
		return false;
	rs_probes_hide(m->run, base, size);
	rs_updates_hide_jumps(m->run, base, size);
	return true;
}

static bool try_base(struct rs_match *m, u32 index, unsigned long base)
{
	const struct resplice_section *sec = rs_section_of(m, index);
	u32 mark = m->nr_trail;

	m->mismatch.why = NULL;
	if (!in_object(m, base, sec->size) || !names_agree(m, sec, base))
		return false;
	if (read_text(m, base, sec->size) && rs_bind_base(m, index, base) &&
	    !compare_at(m, index, base, false))
		return true;
	rs_match_rollback(m, mark);
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

		if (!has_own_name(m, f))
			continue;
		name = rs_names_get(&m->names, rs_symbol_name(m->image, f->symbol));
		if (!name || !name->count || (best && best->count <= name->count))
			continue;
		best = name;
		*offset = f->offset;
	}
	return best;
}

static u32 place_once(struct rs_match *m, u32 index, unsigned long *best_base,
		      struct rs_mismatch *best)
{
	const struct rs_name *anchor;
	unsigned long found = 0;
	u32 offset, i, count = 0, mark = m->nr_trail;

	best->why = NULL;
	if (test_bit(index, m->base_known)) {
		*best_base = m->base[index];
		if (try_base(m, index, *best_base))
			return 1;
		*best = m->mismatch;
		return 0;
	}
	anchor = rarest_function(m, rs_section_of(m, index), &offset);
	for (i = 0; anchor && i < anchor->count; i++) {
		unsigned long base = anchor->address[i] - offset;

		if (try_base(m, index, base)) {
			count++;
			found = base;
			rs_match_rollback(m, mark);
		} else if (m->mismatch.why && (!best->why || m->mismatch.offset > best->offset)) {
			*best = m->mismatch;
			*best_base = base;
		}
	}
	if (count == 1 && !try_base(m, index, found)) {
		*best = m->mismatch;
		return 0;
	}
	return count;
}

/*
 * Find the places where a section matches. Returns their number; with one,
 * what it taught stays bound. best_base is the nearest miss.
 *
 * Tracers rewrite code in steps, with locks held: that there is no place is
 * believed only while nobody does. They may hold them for seconds, so the locks are
 * not taken before.
 */
static u32 place_section(struct rs_match *m, u32 index, unsigned long *best_base,
			 struct rs_mismatch *best)
{
	u32 count = place_once(m, index, best_base, best);

	if (count || !best->why)
		return count;
	hold_text();
	count = place_once(m, index, best_base, best);
	release_text();
	return count;
}

static void report_section_functions(struct rs_match *m, u32 index, unsigned long base)
{
	const struct resplice_section *sec = rs_section_of(m, index);
	u32 mark = m->nr_trail;

	m->mismatch.why = NULL;
	hold_text();
	if (!base || !in_object(m, base, sec->size) || !read_text(m, base, sec->size))
		rs_report("section: %s %s not found\n", rs_unit_name(m, index),
			  rs_section_name(m, index));
	else if (!rs_bind_base(m, index, base) || compare_at(m, index, base, true))
		rs_match_rollback(m, mark);
	release_text();
}

static int report_failure(struct rs_match *m, u32 index, u32 places,
			  const struct rs_mismatch *best)
{
	const struct resplice_section *sec = rs_section_of(m, index);
	const char *in = "padding";
	u32 i, offset = best->offset;

	if (places > 1)
		return rs_refuse(-ENOTUNIQ, "ambiguous", "%s %s matches at %u places",
				 rs_unit_name(m, index), rs_section_name(m, index), places);
	if (!best->why)
		return rs_refuse(-ENOENT, "missing",
				 "%s %s: none of its functions is in this kernel",
				 rs_unit_name(m, index), rs_section_name(m, index));
	for (i = sec->first_function; i < sec->first_function + sec->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];

		if (best->offset - f->offset < f->size) {
			in = rs_symbol_name(m->image, f->symbol);
			offset = best->offset - f->offset;
		}
	}
	return rs_refuse(-EILSEQ, "mismatch",
			 "%s+0x%x (%s %s): expected %*ph, found %*ph: %s", in, offset,
			 rs_unit_name(m, index), rs_section_name(m, index), best->len,
			 best->expected, best->len, best->found, best->why);
}

static bool wanted(struct rs_match *m, u32 index)
{
	const struct resplice_section *sec = rs_section_of(m, index);

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
					  rs_unit_name(m, i), rs_section_name(m, i),
					  rs_section_of(m, i)->size,
					  rs_section_of(m, i)->nr_functions);
		}
	}
	for (i = 0; i < nr; i++) {
		struct rs_mismatch best = { .why = NULL };
		unsigned long base = 0;

		if (!wanted(m, i))
			continue;
		places = place_section(m, i, &base, &best);
		/* It is one of them, byte for byte. Whoever needs to know which is refused. */
		if (places > 1 && !each_function) {
			rs_report("ambiguous: %s %s matches at %u places, nothing tells which\n",
				  rs_unit_name(m, i), rs_section_name(m, i), places);
			continue;
		}
		failed++;
		err = report_failure(m, i, places, &best);
		if (each_function)
			report_section_functions(m, i, base);
	}
	return failed ? err : 0;
}

int rs_match_require(struct rs_match *m, u32 section)
{
	if (test_bit(section, m->matched))
		return 0;
	return rs_refuse(-ENOTUNIQ, "ambiguous",
			 "%s %s matches at several places, and the update changes a function of it",
			 rs_unit_name(m, section), rs_section_name(m, section));
}

int rs_match_read(struct rs_match *m, u32 section, u32 offset, u8 *out, u32 len)
{
	struct rs_mismatch best;
	unsigned long base;

	if (!test_bit(section, m->matched) || place_section(m, section, &base, &best) != 1)
		return rs_refuse(-EILSEQ, "changed", "%s %s changed after it was matched",
				 rs_unit_name(m, section), rs_section_name(m, section));
	memcpy(out, m->run + offset, len);
	return 0;
}
