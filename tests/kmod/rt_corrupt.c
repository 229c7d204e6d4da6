// SPDX-License-Identifier: GPL-2.0-only
/*
 * rt_corrupt: changes one byte of a kernel function's text while it is loaded.
 *
 *   insmod rt_corrupt.ko symbol=NAME offset=N [value=0xNN]
 *
 * Without a value the byte's lowest bit is flipped. The old and the new byte
 * are logged. Unloading puts the old byte back, unless somebody else has
 * changed it meanwhile, which is logged and left alone.
 *
 * It exists to show that an update is refused when the running text is not
 * what the update was built from. Aim it at a function nobody calls, or at a
 * byte that does not matter: the function is not fit to run while it is loaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/stop_machine.h>
#include <linux/vmalloc.h>
#include <asm/sync_core.h>

/* No function is longer; a wilder offset is a slip of the caller's. */
#define SYMBOL_OFFSET_MAX	SZ_64K

static char *symbol;
module_param(symbol, charp, 0444);
MODULE_PARM_DESC(symbol, "function whose text is changed");

static unsigned int offset;
module_param(offset, uint, 0444);
MODULE_PARM_DESC(offset, "byte offset from the start of the function");

static int value = -1;
module_param(value, int, 0444);
MODULE_PARM_DESC(value, "new byte, 0 to 255; -1 flips the lowest bit");

struct poke {
	u8 *alias;	/* writable mapping of the byte */
	u8 expected;
	u8 wanted;
	bool written;	/* false: the byte was not the expected one */
};

static unsigned long target;
static void *alias_page;
static struct poke poke;

static unsigned long find_symbol_address(const char *name)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*lookup)(const char *name);
	int err;

	err = register_kprobe(&probe);
	if (err) {
		pr_err("cannot probe kallsyms_lookup_name: %d\n", err);
		return 0;
	}
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	return lookup(name);
}

/* Text is mapped read-only, so write through a mapping of our own. */
static void *map_page_of(unsigned long address)
{
	struct page *page;

	if (address >= MODULES_VADDR && address < MODULES_END)
		page = vmalloc_to_page((void *)address);
	else
		page = virt_to_page((void *)address);
	return page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;
}

static int write_byte(void *data)
{
	struct poke *p = data;

	if (smp_processor_id() == cpumask_first(cpu_online_mask)) {
		p->written = READ_ONCE(*p->alias) == p->expected;
		if (p->written)
			WRITE_ONCE(*p->alias, p->wanted);
	}
	sync_core();
	return 0;
}

static int change_byte(u8 expected, u8 wanted)
{
	poke.expected = expected;
	poke.wanted = wanted;
	stop_machine(write_byte, &poke, cpu_online_mask);
	if (!poke.written)
		return -EBUSY;
	pr_info("%s+0x%x: 0x%02x -> 0x%02x\n", symbol, offset, expected, wanted);
	return 0;
}

static int __init rt_corrupt_init(void)
{
	u8 found;
	int err;

	if (!symbol || value < -1 || value > 0xff || offset >= SYMBOL_OFFSET_MAX) {
		pr_err("give symbol=NAME offset=N [value=0..255]\n");
		return -EINVAL;
	}
	target = find_symbol_address(symbol);
	if (!target) {
		pr_err("no symbol %s in this kernel\n", symbol);
		return -ENOENT;
	}
	target += offset;

	alias_page = map_page_of(target);
	if (!alias_page) {
		pr_err("cannot map the page of %s+0x%x\n", symbol, offset);
		return -ENOMEM;
	}
	poke.alias = alias_page + offset_in_page(target);

	found = READ_ONCE(*poke.alias);
	err = change_byte(found, value < 0 ? found ^ 1 : value);
	if (err) {
		pr_err("%s+0x%x changed under our hands\n", symbol, offset);
		vunmap(alias_page);
	}
	return err;
}

static void __exit rt_corrupt_exit(void)
{
	if (change_byte(poke.wanted, poke.expected))
		pr_err("%s+0x%x is not the byte written, left alone\n", symbol, offset);
	vunmap(alias_page);
}

module_init(rt_corrupt_init);
module_exit(rt_corrupt_exit);

MODULE_DESCRIPTION("Changes one byte of a kernel function's text (tests only)");
MODULE_LICENSE("GPL");
