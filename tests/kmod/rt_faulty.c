// SPDX-License-Identifier: GPL-2.0-only
/*
 * rt_faulty: does one thing that kernel code must not do.
 *
 *   insmod rt_faulty.ko fault=NAME
 *
 * It exists to show that a debug kernel notices, and that the tests hear of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "memory, sleep, locks, rcu, leak or nothing");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static int __rcu *guarded;
static unsigned long *lost;

/* One byte behind what was asked for. */
static int memory(void)
{
	size_t size = strlen(fault);
	char *bytes = kzalloc(size, GFP_KERNEL);

	if (!bytes)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(size);
	WRITE_ONCE(bytes[size], 1);
	kfree(bytes);
	return 0;
}

static int sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
	return 0;
}

/* Nobody is caught in it: that it could happen is the fault. */
static int locks(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static int rcu(void)
{
	return rcu_dereference(guarded) ? -EINVAL : 0;
}

static int leak(void)
{
	lost = kzalloc(4096 - 64, GFP_KERNEL);
	if (!lost)
		return -ENOMEM;
	WRITE_ONCE(lost, NULL);
	return 0;
}

static int __init rt_faulty_init(void)
{
	if (!strcmp(fault, "memory"))
		return memory();
	if (!strcmp(fault, "sleep"))
		return sleep_in_atomic();
	if (!strcmp(fault, "locks"))
		return locks();
	if (!strcmp(fault, "rcu"))
		return rcu();
	if (!strcmp(fault, "leak"))
		return leak();
	return strcmp(fault, "nothing") ? -EINVAL : 0;
}

static void __exit rt_faulty_exit(void)
{
}

module_init(rt_faulty_init);
module_exit(rt_faulty_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Does what kernel code must not do");
