// SPDX-License-Identifier: GPL-2.0-only
/*
 * rt_livepatch: a kernel livepatch of int_sqrt, for comparison.
 *
 * The parameter transition_ns says how long the last transition took, from
 * before the function was redirected until every task had gone over.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static u64 began;
static unsigned long long transition_ns;
module_param(transition_ns, ullong, 0400);

/* The greatest whole number whose square is not above x. */
static unsigned long root(unsigned long x)
{
	unsigned long root = 0, bit;

	if (x <= 1) {
		asm volatile("nop");
		return x;
	}
	for (bit = BIT(31); bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= x)
			root |= bit;
	return root;
}

static int before(struct klp_object *object)
{
	began = ktime_get_ns();
	return 0;
}

static void after(struct klp_object *object)
{
	transition_ns = ktime_get_ns() - began;
}

static struct klp_func functions[] = {
	{ .old_name = "int_sqrt", .new_func = root },
	{ }
};

static struct klp_object objects[] = {
	{
		.funcs = functions,
		.callbacks = { .pre_patch = before, .post_patch = after },
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init rt_livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit rt_livepatch_exit(void)
{
}

module_init(rt_livepatch_init);
module_exit(rt_livepatch_exit);

MODULE_DESCRIPTION("A livepatch of int_sqrt (benchmarks only)");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
