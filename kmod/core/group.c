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

/* --------------------------------- the stop ------------------------------- */

static const char *const names[] = { [false] = "applied", [true] = "undone" };

static void report_done(const struct rs_group *g, bool undone,
			const struct list_head *changes)
{
	const struct rs_swap_result *r = &g->result;
	const char *what = names[undone];
	const struct rs_change *c;
	u32 parts = 0, functions = 0, data = 0;

	list_for_each_entry(c, changes, area.node) {
		if (c->goes != undone)
			continue;
		parts++;
		functions += c->nr_swaps;
		data += c->nr_data;
	}
	rs_report("%s: %u functions and %u data in %u of %u parts, %llu ns stopped, %llu ns of it work, attempt %u\n",
		  what, functions, data, parts, g->nr_parts, r->pause_ns, r->work_ns,
		  r->attempts);
	pr_info("resplice: %s %s: %u functions and %u data in %u of %u parts, work %llu ns\n",
		g->id, what, functions, data, parts, g->nr_parts, r->work_ns);
}

static void report_failed(const struct rs_group *g, const struct rs_hook_run *hooks,
			  bool undone, int err)
{
	const struct rs_swap_result *r = &g->result;
	u32 i, n = min_t(u32, atomic_read(&r->scan.nr_conflicts), RS_CONFLICTS);

	rs_hooks_report(hooks);
	switch (err) {
	case -EBUSY:
		for (i = 0; i < n; i++)
			rs_report("busy: %s[%d] is in %pS\n", r->scan.conflicts[i].comm,
				  r->scan.conflicts[i].pid,
				  (void *)r->scan.conflicts[i].address);
		if (r->scan.nr_ending)
			rs_report("busy: tasks at the end of their exit: %lu\n",
				  r->scan.nr_ending);
		break;
	case -EILSEQ:
		if (r->changed_data) {
			rs_report("changed: the data of %s, %u bytes, are not as expected: who writes there?\n",
				  r->changed_data->name, r->changed_data->size);
			break;
		}
		/* A hook may refuse with the same number, and no bytes are to blame. */
		if (!r->changed)
			break;
		rs_report("changed: %pS holds %*ph, expected %*ph: is a probe there?\n",
			  (void *)r->changed->address, RS_JUMP_BYTES, r->found,
			  RS_JUMP_BYTES, r->changed->before);
		break;
	default:
		rs_report("failed: %s ended with error %d\n", names[undone], err);
	}
}

/* On success rs_hooks_post is still to be called, once all is as it says. */
static int stop(struct rs_group *g, bool undone, struct list_head *changes,
		struct rs_hook_run *hooks)
{
	int err = rs_hooks_pre(hooks);

	if (!err) {
		err = rs_swap_all(changes, hooks, &g->result);
		if (err)
			report_failed(g, hooks, undone, err);
	}
	if (err)
		rs_hooks_fail(hooks);
	else
		report_done(g, undone, changes);
	return err;
}

/* What was done is what the next stop has to take back. */
static void turn_round(struct rs_update *u)
{
	u8 held[RS_JUMP_BYTES];
	u32 i;

	for (i = 0; i < u->nr_functions; i++) {
		struct rs_swap *s = &u->swaps[i];

		memcpy(held, s->before, sizeof(held));
		memcpy(s->before, s->after, sizeof(held));
		memcpy(s->after, held, sizeof(held));
	}
	for (i = 0; i < u->nr_data; i++)
		swap(u->data[i].before, u->data[i].after);
}

static void plan(struct rs_update *u, bool goes, struct list_head *changes,
		 struct rs_hook_run *hooks)
{
	rs_hooks_add(hooks, &u->hooks, goes);
	u->change.goes = goes;
	u->change.swaps = u->swaps;
	u->change.nr_swaps = u->nr_functions;
	u->change.data = u->data;
	u->change.nr_data = u->nr_data;
	u->change.area.ranges = goes ? &u->text : u->ranges;
	u->change.area.nr_ranges = goes ? 1 : u->nr_ranges;
	list_add_tail(&u->change.area.node, changes);
}

static struct rs_update *part_of(struct rs_change *change)
{
	return container_of(change, struct rs_update, change);
}

/* Their modules may go, unless they have to stay. */
static void leave(const struct list_head *changes)
{
	struct rs_change *c;
	struct rs_update *u;

	list_for_each_entry(c, changes, area.node) {
		u = part_of(c);
		if (!c->goes)
			continue;
		if (u->state == RS_SUPERSEDED)
			rs_report("superseded: %s\n", u->mod->name);
		if (u->stays)
			rs_report("stays: %s remains loaded, since its addresses may be held\n",
				  u->mod->name);
		else
			module_put(u->mod);
	}
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
		plan(u, true, changes, hooks);
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
		plan(u, false, changes, hooks);
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
	err = err ?: stop(g, false, &changes, &hooks);
	list_for_each_entry(c, &changes, area.node) {
		if (err) {
			if (!c->goes)
				module_put(part_of(c)->mod);
			continue;
		}
		turn_round(part_of(c));
		part_of(c)->state = c->goes ? RS_SUPERSEDED : RS_APPLIED;
	}
	if (err)
		return err;
	rs_hooks_post(&hooks);
	leave(&changes);
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
			plan(u, true, &changes, &hooks);
	if (list_empty(&changes))
		return rs_refuse(-EINVAL, "state", "%s is not applied", g->id);
	err = stop(g, true, &changes, &hooks);
	if (err)
		return err;
	list_for_each_entry(c, &changes, area.node) {
		turn_round(part_of(c));
		part_of(c)->state = RS_UNDONE;
	}
	rs_hooks_post(&hooks);
	leave(&changes);
	return 0;
}
