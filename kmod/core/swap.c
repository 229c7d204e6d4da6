// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <asm/sync_core.h>

#include "swap.h"

#define SWAP_ATTEMPTS		10u
#define SWAP_FIRST_WAIT_MS	5u
#define SWAP_LONGEST_WAIT_MS	500u

/* What the CPUs share inside one stop. */
struct stop {
	struct list_head *changes;
	struct rs_hook_run *hooks;
	struct rs_swap_result *result;
	atomic_t entered, scanned, finished;
	int error;
};

static void await(atomic_t *counter, u32 target)
{
	while ((u32)atomic_read_acquire(counter) < target)
		cpu_relax();
}

/* Whether all bytes of a part are those that are to go. */
static int check(const struct rs_change *c, struct rs_swap_result *result)
{
	u32 i;

	for (i = 0; i < c->nr_swaps; i++) {
		/* Its key may have changed since it was read. */
		if (!c->goes && c->swaps[i].label)
			rs_label_show(c->swaps[i].label, c->swaps[i].before);
		if (!memcmp(c->swaps[i].alias.at, c->swaps[i].before, RS_JUMP_BYTES))
			continue;
		result->changed = &c->swaps[i];
		memcpy(result->found, c->swaps[i].alias.at, RS_JUMP_BYTES);
		return -EILSEQ;
	}
	for (i = 0; i < c->nr_data; i++) {
		if (rs_exchange_holds(&c->data[i]))
			continue;
		result->changed_data = &c->data[i];
		return -EILSEQ;
	}
	if (c->seals)
		result->changed_seal = rs_seals_changed(c->seals);
	return result->changed_seal ? -EILSEQ : 0;
}

/* What a label's site needs to be is written with the site out of reach. */
static void write_swap(const struct rs_change *c, struct rs_swap *s)
{
	if (s->label && c->goes) {
		rs_label_show(s->label, s->after);
		rs_label_release(s->label);
	}
	rs_jump_write(&s->alias, s->after);
	if (s->label && !c->goes)
		rs_label_hold(s->label);
}

static void write(const struct rs_change *c)
{
	u32 i;

	if (c->seals)
		rs_seals_open(c->seals);
	for (i = 0; i < c->nr_data; i++)
		rs_exchange_write(&c->data[i], c->data[i].after);
	for (i = 0; i < c->nr_swaps; i++)
		write_swap(c, &c->swaps[i]);
}

/* Of what went. */
static void write_back(const struct rs_change *c)
{
	u32 i;

	for (i = 0; i < c->nr_swaps; i++) {
		rs_jump_write(&c->swaps[i].alias, c->swaps[i].before);
		if (c->swaps[i].label)
			rs_label_hold(c->swaps[i].label);
	}
	for (i = 0; i < c->nr_data; i++)
		rs_exchange_write(&c->data[i], c->data[i].before);
}

/* All that go, or all that come: nothing is written before all are checked. */
static int exchange_those(struct stop *s, bool go)
{
	const struct rs_change *c;
	int err;

	list_for_each_entry(c, s->changes, area.node) {
		err = c->goes == go ? check(c, s->result) : 0;
		if (err)
			return err;
	}
	list_for_each_entry(c, s->changes, area.node)
		if (c->goes == go)
			write(c);
	return 0;
}

static bool has_labels(const struct list_head *changes)
{
	const struct rs_change *c;
	u32 i;

	list_for_each_entry(c, changes, area.node)
		for (i = 0; i < c->nr_swaps; i++)
			if (c->swaps[i].label)
				return true;
	return false;
}

static int exchange(struct stop *s)
{
	const struct rs_change *c;
	int err;

	s->result->labels_change = has_labels(s->changes) && rs_labels_change();
	if (!rs_scan_is_clear(&s->result->scan) || s->result->labels_change)
		return -EBUSY;
	s->result->changed = NULL;
	s->result->changed_data = NULL;
	s->result->changed_seal = NULL;
	err = rs_hooks_check(s->hooks);
	err = err ?: exchange_those(s, true);
	if (err)
		return err;
	/* What comes is checked against what those that go have left. */
	err = exchange_those(s, false);
	if (err) {
		list_for_each_entry(c, s->changes, area.node)
			if (c->goes)
				write_back(c);
		return err;
	}
	rs_hooks_exchanged(s->hooks);
	return 0;
}

/* Runs on every CPU with interrupts off. No lock, no allocation, no look-up. */
static int stopped(void *data)
{
	struct stop *s = data;
	u32 share = atomic_inc_return(&s->entered) - 1;
	u32 cpus = num_online_cpus();	/* all of them are in here */
	u64 start = share ? 0 : ktime_get_ns();

	rs_scan_share(&s->result->scan, share, cpus);
	atomic_inc_return_release(&s->scanned);
	await(&s->scanned, cpus);
	if (!share) {
		s->error = exchange(s);
		s->result->work_ns = ktime_get_ns() - start;
		atomic_set_release(&s->finished, 1);
	}
	await(&s->finished, 1);
	sync_core();
	return 0;
}

static int attempt(struct list_head *changes, struct rs_hook_run *hooks,
		   struct rs_swap_result *result)
{
	struct stop s = { .changes = changes, .hooks = hooks, .result = result };
	u64 start;
	int err;

	rs_scan_init(&result->scan, changes);
	start = ktime_get_ns();
	err = stop_machine(stopped, &s, cpu_online_mask);
	result->pause_ns = ktime_get_ns() - start;
	return err ?: s.error;
}

int rs_swap_all(struct list_head *changes, struct rs_hook_run *hooks,
		struct rs_swap_result *result)
{
	u32 wait_ms = SWAP_FIRST_WAIT_MS;
	int err;

	for (result->attempts = 1;; result->attempts++) {
		err = attempt(changes, hooks, result);
		if (err != -EBUSY || result->attempts == SWAP_ATTEMPTS)
			return err;
		if (msleep_interruptible(wait_ms))
			return -EINTR;
		wait_ms = min(wait_ms * 2, SWAP_LONGEST_WAIT_MS);
	}
}
