// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <resplice/format.h>

#include "text.h"

static struct page *page_of(unsigned long address)
{
	if (address >= __START_KERNEL_map && address < MODULES_VADDR)
		return pfn_to_page(PHYS_PFN(__pa_symbol(address)));
	if (address >= MODULES_VADDR && address < MODULES_END)
		return vmalloc_to_page((void *)address);
	return NULL;
}

int rs_alias_map(struct rs_alias *alias, unsigned long address, size_t len)
{
	unsigned long first = address & PAGE_MASK;
	unsigned int i, n = ((address + len - 1 - first) >> PAGE_SHIFT) + 1;
	struct page **pages;
	int err = 0;

	if (!len || len > RESPLICE_MAX_DATA_BYTES)
		return -EINVAL;
	pages = kmalloc_array(n, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; !err && i < n; i++) {
		pages[i] = page_of(first + i * PAGE_SIZE);
		err = pages[i] ? 0 : -EFAULT;
	}
	alias->map = err ? NULL : vmap(pages, n, VM_MAP, PAGE_KERNEL);
	kfree(pages);
	if (!alias->map)
		return err ?: -ENOMEM;
	alias->at = alias->map + offset_in_page(address);
	return 0;
}

void rs_alias_unmap(struct rs_alias *alias)
{
	if (alias->map)
		vunmap(alias->map);
	alias->map = NULL;
}

void rs_module_text(const struct module *mod, unsigned long *start, unsigned long *end)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	*start = (unsigned long)mod->core_layout.base;
	*end = *start + mod->core_layout.text_size;
#else
	*start = (unsigned long)mod->mem[MOD_TEXT].base;
	*end = *start + mod->mem[MOD_TEXT].size;
#endif
}

void rs_jump_encode(u8 *out, unsigned long from, unsigned long to)
{
	s32 rel = to - (from + RS_JUMP_BYTES);

	out[0] = 0xe9;
	memcpy(out + 1, &rel, sizeof(rel));
}

void rs_jump_write(const struct rs_alias *alias, const u8 *bytes)
{
	unsigned long offset = (unsigned long)alias->at & 15;
	u64 *pair = (u64 *)(alias->at - offset);
	u64 fresh[2], low, high;

	if (offset + RS_JUMP_BYTES > 16 || !boot_cpu_has(X86_FEATURE_CX16)) {
		memcpy(alias->at, bytes, RS_JUMP_BYTES);
		return;
	}
	/* One store, so that an NMI on another CPU sees old or new, never both. */
	low = pair[0];
	high = pair[1];
	fresh[0] = low;
	fresh[1] = high;
	memcpy((u8 *)fresh + offset, bytes, RS_JUMP_BYTES);
	asm volatile("lock cmpxchg16b %0"
		     : "+m" (*(char (*)[16])pair), "+a" (low), "+d" (high)
		     : "b" (fresh[0]), "c" (fresh[1])
		     : "memory", "cc");
}
