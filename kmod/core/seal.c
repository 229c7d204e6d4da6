// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot seals the entry of each function whose address nothing in its object takes:
 * without its endbr, a processor with IBT lets no call through a pointer in. Where
 * new code takes such an address, the endbr comes back with the update, and stays
 * when that is undone: somebody may still hold the address.
 */
#include <linux/elf.h>
#include <linux/kconfig.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <resplice/format.h>

#include "late.h"
#include "match.h"
#include "report.h"
#include "seal.h"

#define ENDBR		0xfa1e0ff3u	/* endbr64 */
#define SEALED		0x001f0f66u	/* what boot writes in its place */

static bool is_text(struct rs_match *m, unsigned long address)
{
	unsigned long start = rs_kernel.text_start, end = rs_kernel.text_end;

	if (address >= start && address < end)
		return end - address >= sizeof(u32);
	if (!m->mod)
		return false;
	rs_module_text(m->mod, &start, &end);
	return address >= start && address < end && end - address >= sizeof(u32);
}

/* 1 if a field is the address of a sealed entry; branches need no endbr. */
static int takes_sealed(struct rs_match *m, const struct resplice_late *late,
			unsigned long *address)
{
	unsigned long symbol;
	u32 found;
	int err;

	if (late->type == R_X86_64_PLT32 || rs_late_is_constant(late) ||
	    m->image->symbols[late->symbol].section == RESPLICE_SYMBOL_MERGED)
		return 0;
	err = rs_match_resolve(m, late->symbol, &symbol);
	if (err)
		return err;
	/* Relative to the instruction's end, which is the field's. */
	*address = symbol + late->addend + (late->type == R_X86_64_PC32 ? 4 : 0);
	return is_text(m, *address) &&
	       !get_kernel_nofault(found, (u32 *)*address) && found == SEALED;
}

static int add(struct rs_seals *seals, unsigned long address)
{
	struct rs_seal *seal = &seals->list[seals->count];
	u32 i;
	int err;

	for (i = 0; i < seals->count; i++)
		if (seals->list[i].address == address)
			return 0;
	err = rs_alias_map(&seal->alias, address, sizeof(u32));
	if (err)
		return rs_refuse(err, "memory", "cannot map the entry of %ps",
				 (void *)address);
	seal->address = address;
	seals->count++;
	rs_report("sealed: %ps, whose address the update takes: its endbr is put back\n",
		  (void *)address);
	return 0;
}

int rs_seals_prepare(struct rs_seals *seals, struct rs_match *m,
		     const struct resplice_update *head)
{
	const struct resplice_late *late = (void *)(unsigned long)head->late;
	unsigned long address;
	u32 i, room = 0;
	int sealed;

	if (!IS_ENABLED(CONFIG_X86_KERNEL_IBT))
		return 0;
	for (i = 0; i < head->nr_late; i++) {
		sealed = takes_sealed(m, &late[i], &address);
		if (sealed < 0)
			return sealed;
		room += sealed;
	}
	if (!room)
		return 0;
	seals->list = kvcalloc(room, sizeof(*seals->list), GFP_KERNEL);
	if (!seals->list)
		return -ENOMEM;
	for (i = 0; i < head->nr_late; i++) {
		sealed = takes_sealed(m, &late[i], &address);
		if (sealed > 0 && seals->count < room)
			sealed = add(seals, address);
		if (sealed < 0)
			return sealed;
	}
	return 0;
}

void rs_seals_free(struct rs_seals *seals)
{
	u32 i;

	for (i = 0; i < seals->count; i++)
		rs_alias_unmap(&seals->list[i].alias);
	kvfree(seals->list);
}

const struct rs_seal *rs_seals_changed(const struct rs_seals *seals)
{
	u32 i, word;

	for (i = 0; i < seals->count; i++) {
		word = READ_ONCE(*(u32 *)seals->list[i].alias.at);
		if (word != SEALED && word != ENDBR)
			return &seals->list[i];
	}
	return NULL;
}

void rs_seals_open(const struct rs_seals *seals)
{
	u32 i;

	for (i = 0; i < seals->count; i++)
		WRITE_ONCE(*(u32 *)seals->list[i].alias.at, ENDBR);
}
