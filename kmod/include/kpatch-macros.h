/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * For patches that were written for kpatch: the names that its authors use, on
 * top of <resplice/hooks.h>. Independent of kpatch's own sources.
 */
#ifndef KPATCH_MACROS_H
#define KPATCH_MACROS_H

#include <linux/livepatch.h>
#include <linux/printk.h>
#include <linux/static_call.h>
#include <linux/syscalls.h>
#include <resplice/hooks.h>

/* What callbacks are given; of its fields only name and mod are filled in. */
#ifndef CONFIG_LIVEPATCH
struct klp_object {
	const char *name;
	struct module *mod;
};
#endif
typedef struct klp_object patch_object;

#define __KPATCH_OBJECT(from)						\
	(&(patch_object) { .name = (from)->name, .mod = (from)->mod })

/* int callback(patch_object *): may sleep; an error refuses the update. */
#define KPATCH_PRE_PATCH_CALLBACK(callback)				\
	static int kpatch_pre_patch_##callback(const struct resplice_object *object) \
	{								\
		return callback(__KPATCH_OBJECT(object));		\
	}								\
	RESPLICE_PRE_APPLY(kpatch_pre_patch_##callback)

#define __KPATCH_TELLING(prefix, callback)				\
	static void prefix##callback(const struct resplice_object *object) \
	{								\
		callback(__KPATCH_OBJECT(object));			\
	}

/* void callback(patch_object *): may sleep; the new code runs. */
#define KPATCH_POST_PATCH_CALLBACK(callback)				\
	__KPATCH_TELLING(kpatch_post_patch_, callback)			\
	RESPLICE_POST_APPLY(kpatch_post_patch_##callback)

/* void callback(patch_object *): may sleep; before the update is undone. */
#define KPATCH_PRE_UNPATCH_CALLBACK(callback)				\
	static int kpatch_pre_unpatch_##callback(const struct resplice_object *object) \
	{								\
		callback(__KPATCH_OBJECT(object));			\
		return 0;						\
	}								\
	RESPLICE_PRE_REVERSE(kpatch_pre_unpatch_##callback)

/*
 * void callback(patch_object *): may sleep; the old code runs again. As with
 * livepatch it also runs when the pre-patch callback had succeeded and the
 * update then failed.
 */
#define KPATCH_POST_UNPATCH_CALLBACK(callback)				\
	__KPATCH_TELLING(kpatch_post_unpatch_, callback)		\
	RESPLICE_FAIL_APPLY(kpatch_post_unpatch_##callback);		\
	RESPLICE_POST_REVERSE(kpatch_post_unpatch_##callback)

/*
 * Accepted and without effect: whether a task is in a function is always
 * checked, so that an update waits or says who is in the way.
 */
#define KPATCH_FORCE_UNSAFE(function)					\
	static void *const __UNIQUE_ID(kpatch_unsafe) __maybe_unused = (function)

/*
 * Data of that section (as compiled with -fdata-sections: ".data.NAME") stays
 * as it runs, whatever its initialisers say now.
 */
#define KPATCH_IGNORE_SECTION(section)	__RESPLICE_DECLARE("ignore-section", section)

/* The function is not replaced, although it changed. */
#define KPATCH_IGNORE_FUNCTION(function)				\
	__RESPLICE_DECLARE("ignore-function", #function)

/* A message that brings no entry of the printk index along. */
#define KPATCH_PRINTK(fmt, ...)	_printk(fmt, ##__VA_ARGS__)

/* The core finds keys that nothing exports, so that no detour is needed. */
#define KPATCH_STATIC_CALL(name) static_call(name)

/*
 * The system call's entries (__x64_sys_NAME, __ia32_sys_NAME) are replaced with
 * it. Plain names, so that no argument is expanded once more than it should be.
 */
#define KPATCH_SYSCALL_DEFINE0	SYSCALL_DEFINE0
#define KPATCH_SYSCALL_DEFINE1	SYSCALL_DEFINE1
#define KPATCH_SYSCALL_DEFINE2	SYSCALL_DEFINE2
#define KPATCH_SYSCALL_DEFINE3	SYSCALL_DEFINE3
#define KPATCH_SYSCALL_DEFINE4	SYSCALL_DEFINE4
#define KPATCH_SYSCALL_DEFINE5	SYSCALL_DEFINE5
#define KPATCH_SYSCALL_DEFINE6	SYSCALL_DEFINE6

#endif /* KPATCH_MACROS_H */
