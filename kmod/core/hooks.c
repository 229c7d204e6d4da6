// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks: what the author of a patch wants done around the exchange. They run
 * in the order of the records, a stage over all parts of an update at a time;
 * what PRE hooks did is undone in reverse.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <resplice/format.h>

#include "hooks.h"
#include "report.h"

/* Stages, counted from the first kind of an apply or of a reverse. */
#define PRE	(RESPLICE_HOOK_PRE_APPLY - RESPLICE_HOOK_PRE_APPLY)
#define CHECK	(RESPLICE_HOOK_CHECK_APPLY - RESPLICE_HOOK_PRE_APPLY)
#define EXCHANGED (RESPLICE_HOOK_APPLY - RESPLICE_HOOK_PRE_APPLY)
#define POST	(RESPLICE_HOOK_POST_APPLY - RESPLICE_HOOK_PRE_APPLY)
#define FAIL	(RESPLICE_HOOK_FAIL_APPLY - RESPLICE_HOOK_PRE_APPLY)

/* Bytes of dead stack that are cleared: more than a sleeper in stop_machine uses. */
#define WIPE_FRAMES	6u
#define WIPE_WORDS	128u

/* ------------------------------- preparing -------------------------------- */

int rs_hooks_prepare(struct rs_hooks *hooks, struct module *update,
		     const struct resplice_update *head)
{
	const struct resplice_hook *records = (void *)(unsigned long)head->hooks;
	u32 i;

	if (!head->nr_hooks)
		return 0;
	hooks->list = kvcalloc(head->nr_hooks, sizeof(*hooks->list), GFP_KERNEL);
	if (!hooks->list)
		return -ENOMEM;
	for (i = 0; i < head->nr_hooks; i++) {
		const struct resplice_hook *r = &records[i];

		if (r->kind >= RESPLICE_HOOK_KINDS || r->after > head->nr_hooks ||
		    !within_module_core(r->function, update))
			return rs_refuse(-ENOEXEC, "format",
					 "hook %u of kind %u lies outside or is unknown",
					 i, r->kind);
		hooks->list[i].tell = (resplice_hook_fn *)(unsigned long)r->function;
		hooks->list[i].kind = r->kind;
		hooks->list[i].after = r->after;
	}
	hooks->count = head->nr_hooks;
	return 0;
}

void rs_hooks_free(struct rs_hooks *hooks)
{
	kvfree(hooks->list);
	hooks->list = NULL;
	hooks->count = 0;
}

/* -------------------------------- running --------------------------------- */

void rs_hooks_begin(struct rs_hook_run *run)
{
	memset(run, 0, sizeof(*run));
	INIT_LIST_HEAD(&run->parts);
}

void rs_hooks_add(struct rs_hook_run *run, struct rs_hooks *part, bool reverse)
{
	part->first = reverse ? RESPLICE_HOOK_PRE_REVERSE : RESPLICE_HOOK_PRE_APPLY;
	part->begun = false;
	part->done = 0;
	list_add_tail(&part->node, &run->parts);
}

/*
 * Return addresses that a hook has left in dead stack would be found by the
 * scan under the frames of this very task, in every attempt.
 */
static noinline void wipe_stack(u32 frames)
{
	unsigned long words[WIPE_WORDS];

	memset(words, 0, sizeof(words));
	barrier_data(words);
	if (frames)
		wipe_stack(frames - 1);
	barrier_data(words);
}

/* PRE or CHECK: the first error ends it. What a hook returns may be no errno. */
static int ask(struct rs_hook_run *run, u32 stage)
{
	struct rs_hooks *part;
	u32 i;
	int err;

	run->refused = NULL;
	list_for_each_entry(part, &run->parts, node) {
		part->begun = true;
		for (i = 0; i < part->count; i++) {
			const struct rs_hook *hook = &part->list[i];

			if (hook->kind != part->first + stage)
				continue;
			err = hook->ask(&part->object);
			if (err) {
				run->refused = hook;
				run->error = IS_ERR_VALUE((long)err) ? err : -ECANCELED;
				return run->error;
			}
			part->done += stage == PRE;
		}
	}
	return 0;
}

/* EXCHANGED or POST: nothing can refuse any more. */
static void tell(struct rs_hook_run *run, u32 stage)
{
	struct rs_hooks *part;
	u32 i;

	list_for_each_entry(part, &run->parts, node)
		for (i = 0; i < part->count; i++)
			if (part->list[i].kind == part->first + stage)
				part->list[i].tell(&part->object);
}

int rs_hooks_pre(struct rs_hook_run *run)
{
	int err = ask(run, PRE);

	wipe_stack(WIPE_FRAMES);
	if (err)
		rs_hooks_report(run);
	return err;
}

int rs_hooks_check(struct rs_hook_run *run)
{
	return ask(run, CHECK);
}

void rs_hooks_exchanged(struct rs_hook_run *run)
{
	tell(run, EXCHANGED);
}

void rs_hooks_post(struct rs_hook_run *run)
{
	tell(run, POST);
	wipe_stack(WIPE_FRAMES);
}

void rs_hooks_fail(struct rs_hook_run *run)
{
	struct rs_hooks *part;
	u32 i;

	list_for_each_entry_reverse(part, &run->parts, node)
		for (i = part->count; part->begun && i-- > 0;) {
			const struct rs_hook *hook = &part->list[i];

			if (hook->kind == part->first + FAIL && hook->after <= part->done)
				hook->tell(&part->object);
		}
	wipe_stack(WIPE_FRAMES);
}

void rs_hooks_report(const struct rs_hook_run *run)
{
	if (run->refused)
		rs_report("hook: %ps refused with error %d\n",
			  (void *)run->refused->tell, run->error);
}
