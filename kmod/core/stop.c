// SPDX-License-Identifier: GPL-2.0-only
/* One stop of the machine for parts that come and parts that go, and how it went. */
#include <linux/module.h>

#include "group.h"
#include "report.h"
#include "stop.h"
#include "update.h"

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
		if (r->labels_change)
			rs_report("busy: static keys are being changed\n");
		break;
	case -EILSEQ:
		if (r->changed_data) {
			rs_report("changed: the data of %s, %u bytes, are not as expected: who writes there?\n",
				  r->changed_data->name, r->changed_data->size);
			break;
		}
		if (r->changed_seal) {
			rs_report("changed: the entry of %pS has neither an endbr nor its seal\n",
				  (void *)r->changed_seal->address);
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

int rs_stop(struct rs_group *g, bool undone, struct list_head *changes,
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

void rs_stop_turn_round(struct rs_update *u)
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

void rs_stop_plan(struct rs_update *u, bool goes, struct list_head *changes,
		  struct rs_hook_run *hooks)
{
	rs_hooks_add(hooks, &u->hooks, goes);
	u->change.goes = goes;
	u->change.swaps = u->swaps;
	u->change.nr_swaps = u->nr_functions;
	u->change.data = u->data;
	u->change.nr_data = u->nr_data;
	u->change.seals = goes ? NULL : &u->seals;
	u->change.area.ranges = goes ? &u->text : u->ranges;
	u->change.area.nr_ranges = goes ? 1 : u->nr_ranges;
	list_add_tail(&u->change.area.node, changes);
}

void rs_stop_leave(const struct list_head *changes)
{
	struct rs_change *c;
	struct rs_update *u;

	list_for_each_entry(c, changes, area.node) {
		u = rs_part_of(c);
		if (!c->goes)
			continue;
		if (u->state == RS_SUPERSEDED)
			rs_report("superseded: %s\n", u->mod->name);
		if (u->stays)
			rs_report("stays: %s remains loaded: its addresses may be held, or its module must not go\n",
				  u->mod->name);
		else
			module_put(u->mod);
	}
}
