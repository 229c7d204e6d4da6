// SPDX-License-Identifier: GPL-2.0-only
/*
 * All parts of an update as one: applied in one stop, undone in one stop.
 *
 * A part that comes while others are missing waits. The last one to come brings
 * all of them in; whoever knows that no more will come (the module they are for
 * is not loaded) asks for those that are here through sysfs.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "group.h"
#include "livepatch.h"
#include "probes.h"
#include "report.h"
#include "stop.h"
#include "update.h"

#define for_each_part(u, g)						\
	list_for_each_entry(u, &rs_updates, node)			\
		if ((u)->group == (g))

/* Parts that were built together say the same of the whole. */
static bool agrees(const struct rs_group *g, const struct resplice_update *head)
{
	const void *supersedes = (void *)(unsigned long)head->supersedes;

	return g->nr_parts == head->nr_parts && g->nr_supersedes == head->nr_supersedes &&
	       (!g->nr_supersedes ||
		!memcmp(g->supersedes, supersedes, g->nr_supersedes * sizeof(*g->supersedes)));
}

static struct rs_group *group_new(const struct resplice_update *head)
{
	const void *supersedes = (void *)(unsigned long)head->supersedes;
	struct rs_group *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (!g)
		return NULL;
	kref_init(&g->kref);
	strscpy(g->id, head->id, sizeof(g->id));
	g->nr_parts = head->nr_parts;
	g->nr_supersedes = head->nr_supersedes;
	if (!g->nr_supersedes)
		return g;
	g->supersedes = kmemdup(supersedes, g->nr_supersedes * sizeof(*g->supersedes),
				GFP_KERNEL);
	if (g->supersedes)
		return g;
	kfree(g);
	return NULL;
}

int rs_group_join(struct rs_update *part, const struct resplice_update *head)
{
	struct rs_update *u;
	struct rs_group *g;

	part->part = head->part;
	list_for_each_entry(u, &rs_updates, node) {
		g = u->group;
		if (strcmp(g->id, head->id))
			continue;
		if (!agrees(g, head))
			return rs_refuse(-EINVAL, "foreign",
					 "%s is of an update of %u parts, %s of one of %u, or they supersede others: they were not built together",
					 part->mod->name, head->nr_parts, u->mod->name,
					 g->nr_parts);
		kref_get(&g->kref);
		part->group = g;
		return 0;
	}
	part->group = group_new(head);
	return part->group ? 0 : -ENOMEM;
}

static void group_free(struct kref *kref)
{
	struct rs_group *g = container_of(kref, struct rs_group, kref);

	kfree(g->supersedes);
	kfree(g);
}

void rs_group_put(struct rs_group *group)
{
	if (group)
		kref_put(&group->kref, group_free);
}

bool rs_group_supersedes(const struct rs_group *g, const char *id)
{
	u32 i;

	for (i = 0; i < g->nr_supersedes; i++)
		if (!strcmp(g->supersedes[i].id, id))
			return true;
	return false;
}

const struct rs_update *rs_group_replacing(const struct rs_group *g, unsigned long function)
{
	const struct rs_update *u;
	u32 i;

	for_each_part(u, g)
		for (i = 0; i < u->nr_functions; i++)
			if (u->functions[i].old == function)
				return u;
	return NULL;
}

/* -------------------------------- applying -------------------------------- */

/* Nobody has put a probe on a jump that is to go. */
static int check_jumps(const struct rs_update *u)
{
	u32 i, skip;
	int err = 0;

	for (i = 0; !err && i < u->nr_functions; i++) {
		const struct rs_function *f = &u->functions[i];

		skip = u->swaps[i].address - f->old;
		err = rs_probes_check(f->name, f->old, skip, skip + RS_JUMP_BYTES);
	}
	return err;
}

static int plan_superseded(const struct rs_group *g, struct list_head *changes,
			   struct rs_hook_run *hooks)
{
	struct rs_update *u;
	int err;

	list_for_each_entry(u, &rs_updates, node) {
		if (u->state != RS_APPLIED || !rs_group_supersedes(g, u->group->id))
			continue;
		err = check_jumps(u);
		if (err)
			return err;
		rs_stop_plan(u, true, changes, hooks);
	}
	return 0;
}

static int check_other(const struct rs_function *f)
{
	int err = rs_livepatch_check(f->name, f->old);

	return err ?: rs_probes_check(f->name, f->old, 0, f->old_size);
}

/* A part may have waited for long since it was prepared. */
static int check_others(const struct rs_update *u)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < u->nr_functions; i++)
		err = check_other(&u->functions[i]);
	return err;
}

/* The code of an applied part is in use: its module must stay. */
static int plan_apply(struct rs_group *g, struct list_head *changes,
		      struct rs_hook_run *hooks)
{
	struct rs_update *u;
	u32 coming = 0;
	int err;

	err = plan_superseded(g, changes, hooks);
	if (err)
		return err;
	for_each_part(u, g) {
		if (u->state == RS_UNDONE || u->state == RS_SUPERSEDED)
			return rs_refuse(-EINVAL, "state", "%s has been undone: load it again",
					 u->mod->name);
		if (u->state != RS_LOADED || u->match_only)
			continue;
		err = check_others(u);
		if (err)
			return err;
		if (!try_module_get(u->mod))
			return rs_refuse(-EINVAL, "state", "%s is being unloaded",
					 u->mod->name);
		rs_stop_plan(u, false, changes, hooks);
		coming++;
	}
	if (!coming)
		return rs_refuse(-EINVAL, "state", "%s: there is nothing to apply", g->id);
	return 0;
}

int rs_group_apply(struct rs_group *g)
{
	struct rs_hook_run hooks;
	LIST_HEAD(changes);
	struct rs_change *c;
	int err;

	rs_hooks_begin(&hooks);
	err = plan_apply(g, &changes, &hooks);
	err = err ?: rs_stop(g, false, &changes, &hooks);
	list_for_each_entry(c, &changes, area.node) {
		if (err) {
			if (!c->goes)
				module_put(rs_part_of(c)->mod);
			continue;
		}
		rs_stop_turn_round(rs_part_of(c));
		rs_part_of(c)->state = c->goes ? RS_SUPERSEDED : RS_APPLIED;
	}
	if (err)
		return err;
	rs_hooks_post(&hooks);
	rs_stop_leave(&changes);
	return 0;
}

int rs_group_arrive(struct rs_update *part)
{
	struct rs_group *g = part->group;
	struct rs_update *u;
	u32 here = 0;

	if (part->match_only)
		return 0;
	for_each_part(u, g)
		here++;
	if (here == g->nr_parts)
		return rs_group_apply(g);
	rs_report("waiting: %s is part %u of %u, %u of them here\n", part->mod->name,
		  part->part, g->nr_parts, here);
	return 0;
}

/* --------------------------------- undoing -------------------------------- */

int rs_group_undo(struct rs_group *g)
{
	struct rs_hook_run hooks;
	LIST_HEAD(changes);
	struct rs_update *u;
	struct rs_change *c;
	int err;

	for_each_part(u, g) {
		err = u->state == RS_APPLIED ? check_jumps(u) : 0;
		if (err)
			return err;
	}
	rs_hooks_begin(&hooks);
	for_each_part(u, g)
		if (u->state == RS_APPLIED)
			rs_stop_plan(u, true, &changes, &hooks);
	if (list_empty(&changes))
		return rs_refuse(-EINVAL, "state", "%s is not applied", g->id);
	err = rs_stop(g, true, &changes, &hooks);
	if (err)
		return err;
	list_for_each_entry(c, &changes, area.node) {
		rs_stop_turn_round(rs_part_of(c));
		rs_part_of(c)->state = RS_UNDONE;
	}
	rs_hooks_post(&hooks);
	rs_stop_leave(&changes);
	return 0;
}

/* Where somebody is in its code, that stays. */
static void withdraw(struct rs_update *u)
{
	struct rs_hook_run hooks;
	LIST_HEAD(changes);

	rs_report_begin(u->mod->name);
	rs_hooks_begin(&hooks);
	rs_stop_plan(u, true, &changes, &hooks);
	u->state = RS_UNDONE;
	if (rs_stop(u->group, true, &changes, &hooks)) {
		pr_warn("resplice: %s has gone while the code of %s was in use, which stays loaded\n",
			u->object, u->mod->name);
		return;
	}
	rs_hooks_post(&hooks);
	rs_stop_leave(&changes);
}

void rs_group_let_go(const struct module *target)
{
	struct rs_update *u;
	u32 i;

	list_for_each_entry(u, &rs_updates, node) {
		if (u->target != target)
			continue;
		if (u->state == RS_APPLIED)
			withdraw(u);
		else if (u->state == RS_LOADED)
			u->state = RS_UNDONE;
		for (i = 0; i < u->nr_functions; i++) {
			rs_alias_unmap(&u->swaps[i].alias);
			rs_label_unmap(u->swaps[i].label);
		}
		for (i = 0; i < u->nr_data; i++)
			rs_alias_unmap(&u->data[i].alias);
		module_put(u->target);
		u->target = NULL;
		u->hooks.object.mod = NULL;
	}
}
