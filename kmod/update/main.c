// SPDX-License-Identifier: GPL-2.0-only
/* The frame of every update module; NAME-delta.o brings the code and the tables. */
#include <linux/init.h>
#include <linux/module.h>
#include <resplice/update.h>

static bool check;
module_param(check, bool, 0);
MODULE_PARM_DESC(check, "match only: change nothing");

static int __init update_init(void)
{
	return check ? 0 : resplice_apply(THIS_MODULE);
}

/* Present so that the module may go; the core knows whether it can. */
static void __exit update_exit(void)
{
}

module_init(update_init);
module_exit(update_exit);
MODULE_DESCRIPTION("Resplice update");
MODULE_LICENSE("GPL");
