// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of one part of an update: its module is about to come alive, its
 * init asks for it to be applied, it goes.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <resplice/update.h>

#include "group.h"
#include "report.h"
#include "update.h"

DEFINE_MUTEX(rs_lock);	/* see update.h */
LIST_HEAD(rs_updates);

static struct rs_update *update_of(struct module *mod)
{
	struct rs_update *u;

	list_for_each_entry(u, &rs_updates, node)
		if (u->mod == mod)
			return u;
	return NULL;
}

void rs_updates_hide_jumps(u8 *copy, unsigned long base, u32 size)
{
	struct rs_update *u;
	u32 i, offset;

	list_for_each_entry(u, &rs_updates, node) {
		for (i = 0; u->state == RS_APPLIED && i < u->nr_functions; i++) {
			const struct rs_swap *s = &u->swaps[i];

			if (s->address < base ||
			    s->address - base + RS_JUMP_BYTES > size)
				continue;
			offset = s->address - base;
			/* Applied: the swap's roles are turned round. */
			if (!memcmp(copy + offset, s->before, RS_JUMP_BYTES))
				memcpy(copy + offset, s->after, RS_JUMP_BYTES);
		}
	}
}

const struct rs_update *rs_updates_replacing(const char *name, const char *unit)
{
	struct rs_update *u;
	u32 i;

	list_for_each_entry(u, &rs_updates, node)
		for (i = 0; u->state == RS_APPLIED && i < u->nr_functions; i++)
			if (!strcmp(u->functions[i].name, name) &&
			    !strcmp(u->functions[i].unit, unit))
				return u;
	return NULL;
}

static bool overlap(const struct rs_exchange *x, unsigned long address, u32 size)
{
	return x->address < address + size && address < x->address + x->size;
}

const struct rs_update *rs_updates_exchanging(unsigned long address, u32 size)
{
	struct rs_update *u;
	u32 i;

	list_for_each_entry(u, &rs_updates, node)
		for (i = 0; u->state == RS_APPLIED && i < u->nr_data; i++)
			if (overlap(&u->data[i], address, size))
				return u;
	return NULL;
}

void rs_updates_hide_exchanges(u8 *copy, unsigned long base, u32 size)
{
	struct rs_update *u;
	u32 i;

	list_for_each_entry(u, &rs_updates, node)
		for (i = 0; u->state == RS_APPLIED && i < u->nr_data; i++) {
			const struct rs_exchange *x = &u->data[i];
			unsigned long from = max(x->address, base);
			unsigned long end = min(x->address + x->size, base + size);

			/* Applied: the exchange's roles are turned round. */
			if (from < end && !memcmp(copy + (from - base),
						  x->before + (from - x->address), end - from))
				memcpy(copy + (from - base), x->after + (from - x->address),
				       end - from);
		}
}

bool rs_updates_holding(unsigned long label_entry)
{
	struct rs_update *u;
	u32 i;

	list_for_each_entry(u, &rs_updates, node)
		for (i = 0; u->state == RS_APPLIED && i < u->nr_functions; i++)
			if (u->swaps[i].label &&
			    u->swaps[i].label->entry_address == label_entry)
				return true;
	return false;
}

const struct rs_update *rs_updates_superseding(const char *id)
{
	struct rs_update *u;

	list_for_each_entry(u, &rs_updates, node)
		if (u->state == RS_APPLIED && rs_group_supersedes(u->group, id))
			return u;
	return NULL;
}

void rs_update_free(struct rs_update *u)
{
	u32 i;

	for (i = 0; i < u->nr_functions; i++) {
		rs_alias_unmap(&u->swaps[i].alias);
		rs_label_free(u->swaps[i].label);
		kfree(u->functions[i].name);
		kfree(u->functions[i].unit);
	}
	rs_hooks_free(&u->hooks);
	rs_data_free(u->data, u->nr_data);
	rs_seals_free(&u->seals);
	kvfree(u->ranges);
	kvfree(u->swaps);
	kvfree(u->functions);
	if (u->target)
		module_put(u->target);
	rs_group_put(u->group);
	kfree(u);
}

int resplice_apply(struct module *mod)
{
	struct rs_update *u;
	int err;

	mutex_lock(&rs_lock);
	u = update_of(mod);
	if (!u || u->state != RS_LOADED)
		err = rs_refuse(-EINVAL, "state", "%s has not been matched", mod->name);
	else
		err = rs_group_arrive(u);
	mutex_unlock(&rs_lock);
	return err;
}
EXPORT_SYMBOL_GPL(resplice_apply);

/* ------------------------------ the module's life ------------------------- */

static unsigned long symbol_address(struct module *mod, const char *name)
{
	const struct mod_kallsyms *ks = rcu_dereference_raw(mod->kallsyms);
	unsigned int i;

	for (i = 1; ks && i < ks->num_symtab; i++)
		if (ks->symtab[i].st_shndx != SHN_UNDEF &&
		    !strcmp(ks->strtab + ks->symtab[i].st_name, name))
			return ks->symtab[i].st_value;
	return 0;
}

static int coming(struct module *mod)
{
	unsigned long header = symbol_address(mod, "resplice_update");
	struct rs_update *u;
	int err;

	if (!header)
		return 0;
	mutex_lock(&rs_lock);
	err = rs_prepare(mod, header, &u);
	if (!err)
		list_add_tail(&u->node, &rs_updates);
	mutex_unlock(&rs_lock);
	return err;
}

static void going(struct module *mod)
{
	struct rs_update *u;

	mutex_lock(&rs_lock);
	rs_group_let_go(mod);
	u = update_of(mod);
	if (u)
		list_del(&u->node);
	mutex_unlock(&rs_lock);
	if (u)
		rs_sysfs_remove(u);
}

static int module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	switch (event) {
	case MODULE_STATE_COMING:
		/* A bare errno would end the chain and yet load the module. */
		return notifier_from_errno(coming(data));
	case MODULE_STATE_GOING:
		going(data);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block module_watch = {
	.notifier_call = module_event,
	.priority = INT_MAX,
};

int rs_updates_init(void)
{
	return register_module_notifier(&module_watch);
}

void rs_updates_exit(void)
{
	unregister_module_notifier(&module_watch);
}
