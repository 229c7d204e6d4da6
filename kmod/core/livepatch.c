// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own livepatches. One that comes after an update wins, as the newer
 * one should; one that was there before would win as well, unseen.
 */
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "livepatch.h"
#include "report.h"
#include "symbols.h"

#ifdef CONFIG_LIVEPATCH

static bool has(const struct klp_patch *patch, unsigned long function)
{
	const struct klp_object *object;
	const struct klp_func *f;

	list_for_each_entry(object, &patch->obj_list, node)
		list_for_each_entry(f, &object->func_list, node)
			if (f->patched && (unsigned long)f->old_func == function)
				return true;
	return false;
}

int rs_livepatch_check(const char *name, unsigned long function)
{
	const struct klp_patch *patch;
	int err = 0;

	mutex_lock(rs_kernel.livepatch_lock);
	list_for_each_entry(patch, rs_kernel.livepatches, list) {
		if (!has(patch, function))
			continue;
		err = rs_refuse(-EBUSY, "livepatch",
				"%s is replaced by the kernel livepatch %s, which would win: disable that first",
				name, patch->mod->name);
		break;
	}
	mutex_unlock(rs_kernel.livepatch_lock);
	return err;
}

#else

int rs_livepatch_check(const char *name, unsigned long function)
{
	return 0;
}

#endif
