// SPDX-License-Identifier: GPL-2.0-only
#include <linux/atomic.h>

static int fault_set(const char *text, const struct kernel_param *param);
static int fault_get(char *buffer, const struct kernel_param *param);

static atomic_t remaining = ATOMIC_INIT(0);
static const struct kernel_param_ops fault_ops = { .set = fault_set, .get = fault_get };
module_param_cb(fault_at, &fault_ops, NULL, 0600);
MODULE_PARM_DESC(fault_at, "the call that fails, from 1; reads 0 once it has failed");

static int fault_set(const char *text, const struct kernel_param *param)
{
	int number, err = kstrtoint(text, 0, &number);

	if (!err)
		atomic_set(&remaining, number);
	return err;
}

static int fault_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&remaining));
}

bool rt_fault(void)
{
	return !atomic_dec_if_positive(&remaining);
}
