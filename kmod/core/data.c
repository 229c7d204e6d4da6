// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read-only data that an update exchanges in place, so that everybody who
 * reads it sees the new contents and its address stays what it was. Where it
 * is, matched text has said; that it is what the update expects, its bytes say.
 */
#include <linux/elf.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <resplice/format.h>

#include "data.h"
#include "group.h"
#include "match.h"
#include "report.h"
#include "update.h"

static bool in_update(struct module *update, u64 address, u32 size)
{
	return within_module_core(address, update) &&
	       within_module_core(address + size - 1, update);
}

int rs_data_check(struct rs_match *m, struct module *update,
		  const struct resplice_data *data, u32 count)
{
	const struct resplice_symbol *sym;
	u32 i;

	for (i = 0; i < count; i++) {
		const struct resplice_data *d = &data[i];

		if (!d->size || d->size > RESPLICE_MAX_DATA_BYTES || d->reserved ||
		    d->symbol >= m->image->nr_symbols ||
		    !in_update(update, d->before, d->size) ||
		    !in_update(update, d->after, d->size))
			return rs_refuse(-ENOEXEC, "format",
					 "data exchange %u is out of range", i);
		sym = &m->image->symbols[d->symbol];
		if (!rs_symbol_placed(sym) ||
		    rs_section_of(m, sym->section)->kind != RESPLICE_SECTION_DATA ||
		    (u64)sym->value + d->offset + d->size >
		    rs_section_of(m, sym->section)->size)
			return rs_refuse(-ENOEXEC, "format",
					 "data exchange %u is not of a unit's data", i);
	}
	return 0;
}

int rs_data_constant(struct rs_match *m, const struct resplice_data *data, u32 count,
		     const struct resplice_late *late, unsigned long *symbol)
{
	unsigned long address, field;
	u32 i;
	int err;

	for (i = 0; i < count; i++)
		if (late->place >= data[i].before &&
		    late->place + sizeof(field) <= data[i].before + data[i].size)
			break;
	if (i == count || late->type != R_X86_64_64)
		return rs_refuse(-ENOEXEC, "format", "a merged constant has no one address");
	err = rs_match_resolve(m, data[i].symbol, &address);
	if (err)
		return err;
	address += data[i].offset + (late->place - data[i].before);
	if (copy_from_kernel_nofault(&field, (void *)address, sizeof(field)))
		return rs_refuse(-EFAULT, "data", "%s can't be read",
				 rs_symbol_name(m->image, data[i].symbol));
	rs_updates_hide_exchanges((u8 *)&field, address, sizeof(field));
	if (!rs_bind_symbol(m, late->symbol, field - late->addend))
		return rs_refuse(-EILSEQ, "data", "%s+0x%x does not point to what it should",
				 rs_symbol_name(m->image, data[i].symbol),
				 data[i].offset + (u32)(late->place - data[i].before));
	*symbol = field - late->addend;
	return 0;
}

/* Only what lies in the object that is patched, for as long as the update does. */
static bool in_target(const struct rs_update *u, unsigned long address, u32 size)
{
	if (u->target)
		return within_module_core(address, u->target) &&
		       within_module_core(address + size - 1, u->target);
	return address >= __START_KERNEL_map && address + size <= MODULES_VADDR;
}

/* What an update holds that is to be superseded is looked through. */
static int check_contents(const struct rs_exchange *x)
{
	u8 *found = kvmalloc(x->size, GFP_KERNEL);
	int err = 0;
	u32 i, len;

	if (!found)
		return -ENOMEM;
	memcpy(found, x->alias.at, x->size);
	rs_updates_hide_exchanges(found, x->address, x->size);
	for (i = 0; i < x->size && found[i] == x->before[i]; i++)
		;
	len = min_t(u32, x->size - i, 16);
	if (len)
		err = rs_refuse(-EILSEQ, "data", "%s+0x%x: expected %*ph, found %*ph",
				x->name, i, len, x->before + i, len, found + i);
	kvfree(found);
	return err;
}

static int prepare_one(struct rs_update *u, struct rs_match *m, u32 index,
		       const struct resplice_data *d)
{
	struct rs_exchange *x = &u->data[index];
	const struct rs_update *other;
	u32 i;
	int err;

	x->name = kstrdup(rs_symbol_name(m->image, d->symbol), GFP_KERNEL);
	if (!x->name)
		return -ENOMEM;
	err = rs_match_resolve(m, d->symbol, &x->address);
	if (err)
		return err;
	x->address += d->offset;
	x->size = d->size;
	x->before = (void *)(unsigned long)d->before;
	x->after = (void *)(unsigned long)d->after;
	if (!in_target(u, x->address, x->size))
		return rs_refuse(-EINVAL, "data", "%s is not in the object that is patched",
				 x->name);
	/* What is exchanged twice could not be undone. */
	for (i = 0; i < index; i++)
		if (u->data[i].address < x->address + x->size &&
		    x->address < u->data[i].address + u->data[i].size)
			return rs_refuse(-ENOEXEC, "format", "%s is exchanged twice", x->name);
	other = rs_updates_exchanging(x->address, x->size);
	if (other && !rs_group_supersedes(u->group, other->group->id))
		return rs_refuse(-EEXIST, "stacked",
				 "the data of %s are already exchanged by %s: undo that first, or build an update that supersedes it",
				 x->name, other->mod->name);
	err = rs_alias_map(&x->alias, x->address, x->size);
	if (err)
		return rs_refuse(err, "memory", "cannot map %s", x->name);
	return check_contents(x);
}

int rs_data_prepare(struct rs_update *u, struct rs_match *m,
		    const struct resplice_data *data, u32 count)
{
	u32 i;
	int err;

	if (!count)
		return 0;
	u->data = kvcalloc(count, sizeof(*u->data), GFP_KERNEL);
	if (!u->data)
		return -ENOMEM;
	u->bytes += count * sizeof(*u->data);
	for (i = 0; i < count; i++) {
		u->nr_data = i + 1;
		err = prepare_one(u, m, i, &data[i]);
		if (err)
			return err;
	}
	rs_report("data: %u exchanges\n", count);
	return 0;
}

void rs_data_free(struct rs_exchange *data, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		rs_alias_unmap(&data[i].alias);
		kfree(data[i].name);
	}
	kvfree(data);
}

bool rs_exchange_holds(const struct rs_exchange *x)
{
	return !memcmp(x->alias.at, x->before, x->size);
}

/* Word by word where it can be: an NMI must not read half a pointer. */
void rs_exchange_write(const struct rs_exchange *x, const u8 *contents)
{
	u8 *to = x->alias.at;
	u32 i = 0;

	while (i < x->size) {
		if (IS_ALIGNED((unsigned long)(to + i), sizeof(u64)) &&
		    x->size - i >= sizeof(u64)) {
			u64 word;

			memcpy(&word, contents + i, sizeof(word));
			WRITE_ONCE(*(u64 *)(to + i), word);
			i += sizeof(word);
		} else {
			WRITE_ONCE(to[i], contents[i]);
			i++;
		}
	}
}
