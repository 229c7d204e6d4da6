// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel rewrites the site of a jump label whenever its key changes, and dies
 * if it finds something else there. Where the jump to a replacement covers a site,
 * nobody can reach that meanwhile: its entry is marked as one of code that is gone
 * after init, which the kernel passes over. With the undo the site becomes what the
 * key wants by then.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "label.h"
#include "report.h"
#include "symbols.h"
#include "update.h"

#ifdef CONFIG_JUMP_LABEL

#define SITE_LONG	5u
#define SITE_SHORT	2u

static const u8 nop_long[SITE_LONG] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const u8 nop_short[SITE_SHORT] = { 0x66, 0x90 };

/* Each has one entry; NULL if there is none, or several. */
static struct jump_entry *entry_of(struct module *target, unsigned long site)
{
	struct jump_entry *e = rs_kernel.labels, *end = rs_kernel.labels_end, *found = NULL;

	if (target) {
		e = target->jump_entries;
		end = e + target->num_jump_entries;
	}
	for (; e < end; e++) {
		if (jump_entry_code(e) != site)
			continue;
		if (found)
			return NULL;
		found = e;
	}
	return found;
}

int rs_label_prepare(struct rs_label **out, struct module *target, const char *function,
		     unsigned long jump, u32 skip, u32 len)
{
	struct jump_entry *entry = entry_of(target, jump + skip);
	struct rs_label *label;
	int err;

	if (!entry || skip >= RS_JUMP_BYTES || (len != SITE_LONG && len != SITE_SHORT) ||
	    !rs_kernel.label_lock ||
	    /* By whoever the update supersedes it may be held already. */
	    (jump_entry_is_init(entry) && !rs_updates_holding((unsigned long)entry)))
		return rs_refuse(-EOPNOTSUPP, "site",
				 "%s: the jump would cover a jump label that cannot be held",
				 function);
	/* Until then the kernel does not look at the mark. */
	if (target && target->state != MODULE_STATE_LIVE)
		return rs_refuse(-EBUSY, "busy",
				 "%s begins with a jump label, which can be held once %s has come",
				 function, target->name);
	label = kzalloc(sizeof(*label), GFP_KERNEL);
	if (!label)
		return -ENOMEM;
	label->entry_address = (unsigned long)entry;
	label->skip = skip;
	label->len = len;
	err = rs_alias_map(&label->entry, (unsigned long)entry, sizeof(*entry));
	err = err ?: rs_alias_map(&label->site, jump + skip, len);
	if (err) {
		rs_label_free(label);
		return rs_refuse(err, "memory", "cannot map the jump label of %s", function);
	}
	*out = label;
	rs_report("label: %s begins with a jump label, which is held while the update is in\n",
		  function);
	return 0;
}

bool rs_labels_change(void)
{
	return mutex_is_locked(rs_kernel.label_lock);
}

/* The whole site, as jump_label.c would write it. */
static void site_now(const struct rs_label *label, u8 *bytes)
{
	const struct jump_entry *entry = (void *)label->entry_address;
	bool jumps = static_key_enabled(jump_entry_key(entry)) ^ jump_entry_is_branch(entry);
	s32 distance = jump_entry_target(entry) - jump_entry_code(entry) - label->len;

	if (!jumps) {
		memcpy(bytes, label->len == SITE_LONG ? nop_long : nop_short, label->len);
		return;
	}
	bytes[0] = label->len == SITE_LONG ? 0xe9 : 0xeb;
	memcpy(bytes + 1, &distance, label->len - 1);
}

void rs_label_show(const struct rs_label *label, u8 *bytes)
{
	u8 site[SITE_LONG];

	site_now(label, site);
	memcpy(bytes + label->skip, site, min(label->len, RS_JUMP_BYTES - label->skip));
}

static void mark(const struct rs_label *label, bool held)
{
	jump_entry_set_init((struct jump_entry *)label->entry.at, held);
}

void rs_label_hold(const struct rs_label *label)
{
	mark(label, true);
}

void rs_label_release(const struct rs_label *label)
{
	u8 site[SITE_LONG];
	u32 covered = min(label->len, RS_JUMP_BYTES - label->skip);

	site_now(label, site);
	memcpy(label->site.at + covered, site + covered, label->len - covered);
	mark(label, false);
}

/*
 * Dynamic debug knows a module's keys before jump labels do (up to Linux 6.3), which
 * take it that none of them has changed by then. Matching takes long enough for that.
 */
int rs_labels_check_own(const struct module *update)
{
	const struct jump_entry *e = update->jump_entries;
	const struct jump_entry *end = e + update->num_jump_entries;

	for (; e < end; e++) {
		struct static_key *key = jump_entry_key(e);

		if (within_module((unsigned long)key, update) &&
		    static_key_enabled(key) != (key->type & JUMP_TYPE_TRUE))
			return rs_refuse(-EBUSY, "busy",
					 "a debug message of %s was turned on before it was loaded",
					 update->name);
	}
	return 0;
}

#else

int rs_labels_check_own(const struct module *update)
{
	return 0;
}

int rs_label_prepare(struct rs_label **out, struct module *target, const char *function,
		     unsigned long jump, u32 skip, u32 len)
{
	return rs_refuse(-EOPNOTSUPP, "site", "%s: this kernel has no jump labels", function);
}

bool rs_labels_change(void)
{
	return false;
}

void rs_label_show(const struct rs_label *label, u8 *bytes)
{
}

void rs_label_hold(const struct rs_label *label)
{
}

void rs_label_release(const struct rs_label *label)
{
}

#endif

void rs_label_unmap(struct rs_label *label)
{
	if (!label)
		return;
	rs_alias_unmap(&label->entry);
	rs_alias_unmap(&label->site);
}

void rs_label_free(struct rs_label *label)
{
	rs_label_unmap(label);
	kfree(label);
}
