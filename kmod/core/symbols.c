// SPDX-License-Identifier: GPL-2.0-only
#include <linux/jhash.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "exits.h"
#include "report.h"
#include "symbols.h"

#define NAME_MAX_ADDRESSES	4096u

struct rs_kernel rs_kernel;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
typedef int (*each_fn)(void *data, const char *name, struct module *mod,
		       unsigned long address);
#else
typedef int (*each_fn)(void *data, const char *name, unsigned long address);
#endif
typedef int each_symbol_fn(each_fn fn, void *data);

DEFINE_STATIC_CALL_RET0(rs_lookup_name, rs_lookup_name_fn);
DEFINE_STATIC_CALL_RET0(rs_find_module, rs_find_module_fn);
DEFINE_STATIC_CALL_RET0(rs_idle_task, rs_idle_task_fn);
DEFINE_STATIC_CALL_RET0(rs_get_kprobe, rs_get_kprobe_fn);
DEFINE_STATIC_CALL_RET0(rs_save_frames, rs_save_frames_fn);
DEFINE_STATIC_CALL_RET0(kernel_each_symbol, each_symbol_fn);

static int nop_handler(struct kprobe *p, struct pt_regs *regs)
{
	return 0;
}

/* A kprobe is the exported way to a function's address. */
static unsigned long probe_address(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .pre_handler = nop_handler };
	unsigned long address;

	if (register_kprobe(&probe) < 0)
		return 0;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return address;
}

static unsigned long lookup(const char *name)
{
	return static_call(rs_lookup_name)(name);
}

/* From now on the call of that name leads to the kernel's function, if there is one. */
#define FIND_CALL(call, name)						\
({									\
	unsigned long __address = lookup(name);				\
	if (__address)							\
		static_call_update(call, (void *)__address);		\
	!!__address;							\
})

static int find_calls(void)
{
	unsigned long probed = probe_address("kallsyms_lookup_name");

	if (!probed) {
		pr_err("resplice: cannot find kallsyms_lookup_name: kprobes are off\n");
		return -ENOENT;
	}
	/*
	 * Behind an endbr the probe lies 4 bytes into the function. A direct call
	 * may begin there, to ask for the true entry.
	 */
	static_call_update(rs_lookup_name, (void *)probed);
	if (!FIND_CALL(rs_lookup_name, "kallsyms_lookup_name") ||
	    !FIND_CALL(kernel_each_symbol, "kallsyms_on_each_symbol") ||
	    !FIND_CALL(rs_find_module, "find_module") ||
	    !FIND_CALL(rs_idle_task, "idle_task") ||
	    !FIND_CALL(rs_get_kprobe, "get_kprobe"))
		return -ENOENT;
	FIND_CALL(rs_save_frames, "stack_trace_save_tsk_reliable");
	return 0;
}

static bool find_data(void)
{
	rs_kernel.text_start = lookup("_stext");
	rs_kernel.text_end = lookup("_etext");
	rs_kernel.pv_ops = (void *)lookup("pv_ops");
	rs_kernel.return_thunk = lookup("__x86_return_thunk");
	rs_kernel.custom_return_thunk = (void *)lookup("x86_return_thunk");
	rs_kernel.nop_func = lookup("nop_func");
	rs_kernel.static_call_return = lookup("__static_call_return");
	rs_kernel.text_lock = (void *)lookup("text_mutex");
	rs_kernel.static_call_lock = (void *)lookup("static_call_mutex");
	rs_kernel.label_lock = (void *)lookup("jump_label_mutex");
	rs_kernel.labels = (void *)lookup("__start___jump_table");
	rs_kernel.labels_end = (void *)lookup("__stop___jump_table");
	rs_kernel.livepatch_lock = (void *)lookup("klp_mutex");
	rs_kernel.livepatches = (void *)lookup("klp_patches");
	rs_kernel.exits = rs_exits_find();
	return rs_kernel.text_start && rs_kernel.text_end && rs_kernel.exits &&
	       rs_kernel.text_lock &&
	       (!IS_ENABLED(CONFIG_HAVE_STATIC_CALL_INLINE) || rs_kernel.static_call_lock) &&
	       (!IS_ENABLED(CONFIG_LIVEPATCH) ||
		(rs_kernel.livepatch_lock && rs_kernel.livepatches));
}

int rs_symbols_init(void)
{
	if (!find_calls() && find_data())
		return 0;
	pr_err("resplice: this kernel lacks a symbol that matching needs\n");
	return -ENOENT;
}

static u32 name_hash(const char *name)
{
	return jhash(name, strlen(name), 0);
}

void rs_names_init(struct rs_names *names)
{
	hash_init(names->table);
}

const struct rs_name *rs_names_get(const struct rs_names *names, const char *name)
{
	struct rs_name *entry;

	hash_for_each_possible(names->table, entry, node, name_hash(name))
		if (!strcmp(entry->name, name))
			return entry;
	return NULL;
}

int rs_names_add(struct rs_names *names, const char *name)
{
	struct rs_name *entry;

	if (rs_names_get(names, name))
		return 0;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return -ENOMEM;
	entry->name = name;
	hash_add(names->table, &entry->node, name_hash(name));
	return 0;
}

static int name_found(struct rs_names *names, const char *name, unsigned long address)
{
	struct rs_name *entry = (struct rs_name *)rs_names_get(names, name);
	unsigned long *more;

	if (!entry || rs_name_has(entry, address))
		return 0;
	if (entry->count == entry->room) {
		if (entry->room >= NAME_MAX_ADDRESSES)
			return rs_refuse(-E2BIG, "limit", "%s has over %u addresses",
					 name, NAME_MAX_ADDRESSES);
		more = krealloc(entry->address, (entry->room + 4) * 2 * sizeof(*more),
				GFP_KERNEL);
		if (!more)
			return -ENOMEM;
		entry->address = more;
		entry->room = (entry->room + 4) * 2;
	}
	entry->address[entry->count++] = address;
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static int each_symbol(void *data, const char *name, struct module *mod,
		       unsigned long address)
#else
static int each_symbol(void *data, const char *name, unsigned long address)
#endif
{
	return name_found(data, name, address);
}

static int find_in_module(struct rs_names *names, struct module *mod)
{
	const struct mod_kallsyms *ks = rcu_dereference_raw(mod->kallsyms);
	unsigned int i;
	int err;

	for (i = 1; i < ks->num_symtab; i++) {
		const typeof(*ks->symtab) *sym = &ks->symtab[i];

		if (sym->st_shndx == SHN_UNDEF)
			continue;
		err = name_found(names, ks->strtab + sym->st_name, sym->st_value);
		if (err)
			return err;
	}
	return 0;
}

int rs_names_find(struct rs_names *names, struct module *mod)
{
	return mod ? find_in_module(names, mod) :
		     static_call(kernel_each_symbol)(each_symbol, names);
}

bool rs_name_has(const struct rs_name *name, unsigned long address)
{
	u32 i;

	for (i = 0; i < name->count; i++)
		if (name->address[i] == address)
			return true;
	return false;
}

void rs_names_free(struct rs_names *names)
{
	struct rs_name *entry;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(names->table, bucket, next, entry, node) {
		hash_del(&entry->node);
		kfree(entry->address);
		kfree(entry);
	}
}
