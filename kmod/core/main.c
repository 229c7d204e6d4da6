// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <asm/cpufeature.h>

#include "await.h"
#include "report.h"
#include "shadow.h"
#include "symbols.h"
#include "update.h"

/* Each call is redirected then, and what is called has code before its entry. */
static bool __init calls_are_counted(void)
{
#ifdef X86_FEATURE_CALL_DEPTH
	return boot_cpu_has(X86_FEATURE_CALL_DEPTH);
#else
	return false;
#endif
}

static int __init resplice_init(void)
{
	int err;

	if (calls_are_counted()) {
		pr_err("resplice: call depth tracking (retbleed=stuff) is not supported\n");
		return -EOPNOTSUPP;
	}
	err = rs_symbols_init();
	if (err)
		return err;
	err = rs_sysfs_init();
	if (err)
		return err;
	err = rs_updates_init();
	if (err)
		goto out_sysfs;
	err = rs_await_init();
	if (err)
		goto out_updates;
	return 0;

out_updates:
	rs_updates_exit();
out_sysfs:
	rs_sysfs_exit();
	return err;
}

/* Updates import from this module: none is left when it goes. */
static void __exit resplice_exit(void)
{
	rs_await_exit();
	rs_updates_exit();
	rs_sysfs_exit();
	rs_shadow_exit();
	rs_report_free();
}

module_init(resplice_init);
module_exit(resplice_exit);
MODULE_DESCRIPTION("Resplice: live kernel updates");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
