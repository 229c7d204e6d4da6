/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * For patches that were written for Ksplice: the names of its hooks, on top of
 * <resplice/hooks.h>. Independent of Ksplice's own sources. The functions take
 * no argument; those of pre and check return int, the others nothing.
 */
#ifndef KSPLICE_PATCH_H
#define KSPLICE_PATCH_H

#include <resplice/hooks.h>

#define __KSPLICE_ASKING(kind, hook, function)				\
	static int ksplice_##kind##_##function(const struct resplice_object *object) \
	{								\
		return function();					\
	}								\
	hook(ksplice_##kind##_##function)

#define __KSPLICE_TELLING(kind, hook, function)				\
	static void ksplice_##kind##_##function(const struct resplice_object *object) \
	{								\
		function();						\
	}								\
	hook(ksplice_##kind##_##function)

#define ksplice_pre_apply(function)					\
	__KSPLICE_ASKING(pre_apply, RESPLICE_PRE_APPLY, function)
#define ksplice_check_apply(function)					\
	__KSPLICE_ASKING(check_apply, RESPLICE_CHECK_APPLY, function)
#define ksplice_apply(function)						\
	__KSPLICE_TELLING(apply, RESPLICE_APPLY, function)
#define ksplice_post_apply(function)					\
	__KSPLICE_TELLING(post_apply, RESPLICE_POST_APPLY, function)
#define ksplice_fail_apply(function)					\
	__KSPLICE_TELLING(fail_apply, RESPLICE_FAIL_APPLY, function)

#define ksplice_pre_reverse(function)					\
	__KSPLICE_ASKING(pre_reverse, RESPLICE_PRE_REVERSE, function)
#define ksplice_check_reverse(function)					\
	__KSPLICE_ASKING(check_reverse, RESPLICE_CHECK_REVERSE, function)
#define ksplice_reverse(function)					\
	__KSPLICE_TELLING(reverse, RESPLICE_REVERSE, function)
#define ksplice_post_reverse(function)					\
	__KSPLICE_TELLING(post_reverse, RESPLICE_POST_REVERSE, function)
#define ksplice_fail_reverse(function)					\
	__KSPLICE_TELLING(fail_reverse, RESPLICE_FAIL_REVERSE, function)

#endif /* KSPLICE_PATCH_H */
