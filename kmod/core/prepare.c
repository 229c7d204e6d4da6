// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a module that is coming alive to an update that only waits to be
 * applied. Everything that can fail or take time happens here.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <resplice/format.h>

#include "data.h"
#include "group.h"
#include "image.h"
#include "label.h"
#include "late.h"
#include "livepatch.h"
#include "match.h"
#include "probes.h"
#include "report.h"
#include "seal.h"
#include "symbols.h"
#include "update.h"

static const void *init_data(struct module *mod, u64 address, u64 size)
{
	if (!size || !within_module_init(address, mod) ||
	    size > RESPLICE_MAX_IMAGE || !within_module_init(address + size - 1, mod))
		return NULL;
	return (const void *)(unsigned long)address;
}

/* ID for part 0, ID_pN for part N: the kernel lets each name in once. */
static bool is_named(struct module *mod, const struct resplice_update *u)
{
	char name[RESPLICE_ID_LEN + sizeof("_p4294967295")];

	if (u->part)
		snprintf(name, sizeof(name), "%s_p%u", u->id, u->part);
	else
		strscpy(name, u->id, sizeof(name));
	return !strcmp(name, mod->name);
}

/* As the builder writes them; what else there is was not meant to be one. */
static bool is_id(const char *id)
{
	u32 i;

	for (i = 0; i < RESPLICE_ID_LEN && id[i]; i++)
		if (!islower(id[i]) && !isdigit(id[i]) && id[i] != '_')
			return false;
	return i && i < RESPLICE_ID_LEN;
}

static bool names_superseded(struct module *mod, const struct resplice_update *u)
{
	const struct resplice_id *ids = (void *)(unsigned long)u->supersedes;
	u32 i;

	if (u->nr_supersedes > RESPLICE_MAX_SUPERSEDED ||
	    (u->nr_supersedes &&
	     !init_data(mod, u->supersedes, (u64)u->nr_supersedes * sizeof(*ids))))
		return false;
	for (i = 0; i < u->nr_supersedes; i++)
		if (!is_id(ids[i].id) || !strcmp(ids[i].id, u->id))
			return false;
	return true;
}

static int read_header(struct module *mod, unsigned long address,
		       const struct resplice_update **out)
{
	const struct resplice_update *u = init_data(mod, address, sizeof(*u));

	if (!u || u->magic != RESPLICE_UPDATE_MAGIC || u->size != sizeof(*u))
		return rs_refuse(-ENOEXEC, "format", "%s: resplice_update is malformed",
				 mod->name);
	if (u->format != RESPLICE_FORMAT)
		return rs_refuse(-ENOEXEC, "format",
				 "%s has format %u, this core reads %u: rebuild it",
				 mod->name, u->format, RESPLICE_FORMAT);
	if (!u->nr_parts || u->nr_parts > RESPLICE_MAX_PARTS || u->part >= u->nr_parts)
		return rs_refuse(-ENOEXEC, "format", "%s is part %u of %u", mod->name,
				 u->part, u->nr_parts);
	if (!is_id(u->id) || !is_named(mod, u))
		return rs_refuse(-ENOEXEC, "format",
				 "the module %s is not called by its id and part", mod->name);
	if (u->nr_late > RESPLICE_MAX_RELOCS || u->nr_replace > RESPLICE_MAX_FUNCTIONS ||
	    (u->nr_late && !init_data(mod, u->late,
				      (u64)u->nr_late * sizeof(struct resplice_late))) ||
	    (u->nr_replace && !init_data(mod, u->replace, (u64)u->nr_replace *
					 sizeof(struct resplice_replace))) ||
	    u->nr_hooks > RESPLICE_MAX_HOOKS ||
	    (u->nr_hooks && !init_data(mod, u->hooks, (u64)u->nr_hooks *
				       sizeof(struct resplice_hook))) ||
	    u->nr_data > RESPLICE_MAX_DATA ||
	    (u->nr_data && !init_data(mod, u->data,
				      (u64)u->nr_data * sizeof(struct resplice_data))))
		return rs_refuse(-ENOEXEC, "format", "%s: a table lies outside", mod->name);
	if (!names_superseded(mod, u) || u->reserved)
		return rs_refuse(-ENOEXEC, "format",
				 "%s: the updates that it supersedes are not named", mod->name);
	if (u->flags & ~(RESPLICE_UPDATE_MATCH_ONLY | RESPLICE_UPDATE_STAYS))
		return rs_refuse(-ENOEXEC, "format", "%s has unknown flags", mod->name);
	*out = u;
	return 0;
}

static int find_target(struct rs_update *u, const struct rs_image *image)
{
	const char *object = rs_string(image, image->head->object);

	strscpy(u->object, object, sizeof(u->object));
	if (!strcmp(object, "vmlinux"))
		return 0;
	preempt_disable();	/* modules are freed after a grace period */
	u->target = static_call(rs_find_module)(object);
	if (u->target && !try_module_get(u->target))
		u->target = NULL;
	preempt_enable();
	if (!u->target)
		return rs_refuse(-ENOENT, "absent", "the module %s is not loaded", object);
	return 0;
}

/* --------------------------------- preparing ------------------------------ */

/* Nobody else may have the function, now or later in this stop. */
static int check_claims(struct rs_update *u, struct rs_match *m, u32 index, u32 symbol)
{
	const struct rs_function *fn = &u->functions[index];
	const struct rs_update *other;
	u32 i;
	int err;

	other = rs_updates_replacing(fn->name, fn->unit);
	if (other && !rs_group_supersedes(u->group, other->group->id))
		return rs_refuse(-EEXIST, "stacked",
				 "%s is already replaced by %s: undo that first, or build an update that supersedes it",
				 fn->name, other->mod->name);
	/* Two jumps at one place could not be undone. */
	for (i = 0; i < index; i++)
		if (u->functions[i].old == fn->old)
			return rs_refuse(-ENOEXEC, "format", "%s is replaced twice", fn->name);
	other = rs_group_replacing(u->group, fn->old);
	if (other)
		return rs_refuse(-ENOEXEC, "format", "%s is replaced by %s as well",
				 fn->name, other->mod->name);
	err = rs_livepatch_check(fn->name, fn->old);
	if (!err)
		err = rs_probes_check(fn->name, fn->old, 0, fn->old_size);
	if (err)
		return err;
	if (!rs_match_is_used(m, symbol, fn->old))
		return rs_refuse(-EOPNOTSUPP, "overridden",
				 "the kernel uses another %s than this weak one", fn->name);
	return 0;
}

static int prepare_function(struct rs_update *u, struct rs_match *m, u32 index,
			    const struct resplice_replace *r)
{
	const struct rs_image *image = m->image;
	struct rs_function *fn = &u->functions[index];
	struct rs_swap *swap = &u->swaps[index];
	const struct resplice_function *f;
	const struct resplice_section *sec;
	u32 skip;
	int err;

	if (r->old >= image->nr_functions || !r->size ||
	    !within_module_core(r->function, u->mod) ||
	    !within_module_core(r->function + r->size - 1, u->mod))
		return rs_refuse(-ENOEXEC, "format", "replacement %u is out of range", index);
	f = &image->functions[r->old];
	sec = &image->sections[f->section];
	fn->name = kstrdup(rs_symbol_name(image, f->symbol), GFP_KERNEL);
	fn->unit = kstrdup(rs_string(image, image->units[sec->unit].name), GFP_KERNEL);
	if (!fn->name || !fn->unit)
		return -ENOMEM;
	skip = rs_function_entry_bytes(f);
	if (f->size < skip + RS_JUMP_BYTES)
		return rs_refuse(-EOPNOTSUPP, "small", "%s has %u bytes: no room for a jump",
				 fn->name, f->size);
	err = rs_match_require(m, f->section);
	if (err)
		return err;
	fn->old = m->base[f->section] + f->offset;
	fn->old_size = f->size;
	err = check_claims(u, m, index, f->symbol);
	if (err)
		return err;
	fn->new = r->function;
	fn->new_size = r->size;
	swap->address = fn->old + skip;
	err = rs_match_read(m, f->section, f->offset + skip, swap->before, RS_JUMP_BYTES);
	if (err)
		return err;
	rs_jump_encode(swap->after, swap->address, fn->new);
	/* On the jump's first byte a task is safe: it goes the new way. */
	u->ranges[u->nr_ranges].start = swap->address + 1;
	u->ranges[u->nr_ranges++].end = fn->old + fn->old_size;
	return rs_alias_map(&swap->alias, swap->address, RS_JUMP_BYTES);
}

/* What is patched once, before any update: its bytes are settled. */
static bool settled(u16 kind)
{
	return kind == RESPLICE_SITE_RETURN || kind == RESPLICE_SITE_RETPOLINE ||
	       kind == RESPLICE_SITE_ALT || kind == RESPLICE_SITE_PARAVIRT ||
	       kind == RESPLICE_SITE_RUNTIME_CONST;
}

/* The kernel must not rewrite later what we are about to overwrite; one jump label can be held. */
static int check_jump_site(struct rs_update *u, struct rs_match *m, u32 index, u32 old)
{
	const struct resplice_function *f = &m->image->functions[old];
	const struct resplice_section *sec = &m->image->sections[f->section];
	struct rs_swap *swap = &u->swaps[index];
	u32 i, at = f->offset + (swap->address - u->functions[index].old);
	int err;

	for (i = sec->first_site; i < sec->first_site + sec->nr_sites; i++) {
		const struct resplice_site *s = &m->image->sites[i];

		if (s->offset >= at + RS_JUMP_BYTES || s->offset + s->len <= at ||
		    settled(s->kind))
			continue;
		if (s->kind != RESPLICE_SITE_JUMP_LABEL || s->offset < at || swap->label)
			return rs_refuse(-EOPNOTSUPP, "site",
					 "%s: the jump would cover a patched site",
					 u->functions[index].name);
		err = rs_label_prepare(&swap->label, u->target, u->functions[index].name,
				       swap->address, s->offset - at, s->len);
		if (err)
			return err;
	}
	return 0;
}

/* A function's cold part belongs to it: nobody may be there either. */
static int add_cold_ranges(struct rs_update *u, struct rs_match *m, u32 old)
{
	u32 i;
	int err;

	for (i = 0; i < m->image->nr_functions; i++) {
		const struct resplice_function *f = &m->image->functions[i];

		if (f->parent != old)
			continue;
		err = rs_match_require(m, f->section);
		if (err)
			return err;
		u->ranges[u->nr_ranges].start = m->base[f->section] + f->offset;
		u->ranges[u->nr_ranges].end = u->ranges[u->nr_ranges].start + f->size;
		u->nr_ranges++;
	}
	return 0;
}

static int allocate(struct rs_update *u, u32 functions, u32 ranges)
{
	size_t n = max(functions, 1u);

	u->functions = kvcalloc(n, sizeof(*u->functions), GFP_KERNEL);
	u->swaps = kvcalloc(n, sizeof(*u->swaps), GFP_KERNEL);
	u->ranges = kvcalloc(max(ranges, 1u), sizeof(*u->ranges), GFP_KERNEL);
	u->bytes = n * (sizeof(*u->functions) + sizeof(*u->swaps)) +
		   ranges * sizeof(*u->ranges) + sizeof(*u);
	return u->functions && u->swaps && u->ranges ? 0 : -ENOMEM;
}

static int prepare_functions(struct rs_update *u, struct rs_match *m,
			     const struct resplice_update *head)
{
	const struct resplice_replace *r = (void *)(unsigned long)head->replace;
	u32 i, k, ranges = head->nr_replace;
	int err;

	/* Each cold part is counted for every replacement that could own it. */
	for (i = 0; i < head->nr_replace; i++)
		for (k = 0; k < m->image->nr_functions; k++)
			ranges += m->image->functions[k].parent == r[i].old;
	err = allocate(u, head->nr_replace, ranges);
	for (i = 0; !err && i < head->nr_replace; i++) {
		u->nr_functions = i + 1;
		err = prepare_function(u, m, i, &r[i]);
		err = err ?: check_jump_site(u, m, i, r[i].old);
		err = err ?: add_cold_ranges(u, m, r[i].old);
	}
	return err;
}

static int prepare_with(struct rs_update *u, struct rs_image *image,
			const struct resplice_update *head)
{
	const struct resplice_data *data = (void *)(unsigned long)head->data;
	bool only = head->flags & RESPLICE_UPDATE_MATCH_ONLY;
	struct rs_match *m = kvmalloc(sizeof(*m), GFP_KERNEL);
	int err;

	if (!m)
		return -ENOMEM;
	err = rs_match_init(m, image, u->target);
	err = err ?: rs_match_run(m, only);
	if (!only) {
		err = err ?: prepare_functions(u, m, head);
		err = err ?: rs_hooks_prepare(&u->hooks, u->mod, head);
		err = err ?: rs_data_check(m, u->mod, data, head->nr_data);
		err = err ?: rs_late_apply(m, u->mod, head);
		err = err ?: rs_seals_prepare(&u->seals, m, head);
		u->bytes += u->seals.count * sizeof(*u->seals.list);
		err = err ?: rs_data_prepare(u, m, data, head->nr_data);
	}
	rs_match_free(m);
	kvfree(m);
	/* A match-only module has done its work by its report. */
	return only && err != -ENOMEM ? 0 : err;
}

int rs_prepare(struct module *mod, unsigned long header, struct rs_update **out)
{
	const struct resplice_update *head;
	const struct rs_update *other;
	struct rs_update *u;
	struct rs_image image;
	const void *data;
	int err;

	rs_report_begin(mod->name);
	err = read_header(mod, header, &head);
	if (err)
		return err;
	data = init_data(mod, head->match, head->match_size);
	if (!data)
		return rs_refuse(-ENOEXEC, "format", "the match image lies outside");
	err = rs_image_open(&image, data, head->match_size);
	if (err)
		return err;
	other = rs_updates_superseding(head->id);
	if (other)
		return rs_refuse(-EEXIST, "superseded", "%s is superseded by %s, which is applied",
				 mod->name, other->mod->name);
	u = kzalloc(sizeof(*u), GFP_KERNEL);
	if (!u)
		return -ENOMEM;
	u->mod = mod;
	u->stays = head->flags & RESPLICE_UPDATE_STAYS;
	u->match_only = head->flags & RESPLICE_UPDATE_MATCH_ONLY;
	rs_module_text(mod, &u->text.start, &u->text.end);
	err = rs_group_join(u, head);
	err = err ?: find_target(u, &image);
	if (u->target) {
		u->hooks.object.name = u->target->name;
		u->hooks.object.mod = u->target;
	}
	err = err ?: prepare_with(u, &image, head);
	err = err ?: rs_labels_check_own(mod);
	if (err) {
		if (err == -ENOMEM)
			rs_report("memory: not enough to prepare %s\n", mod->name);
		rs_update_free(u);
		return err;
	}
	err = rs_sysfs_add(u);	/* from here on the kobject owns it */
	if (err)
		return err;
	*out = u;
	return 0;
}
