/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * For authors of patches whose change can't be carried into a running kernel
 * by exchanging code alone. Found by #include <resplice/hooks.h> when the
 * patched source is compiled; what is written here reaches the update module
 * and never the kernel's own build.
 */
#ifndef RESPLICE_HOOKS_H
#define RESPLICE_HOOKS_H

#include <linux/compiler.h>

/*
 * Declarations. Each answers one question that the builder would otherwise
 * refuse the patch with; they are no code. A declaration that no change needs
 * is an error, so that a mistyped name is not taken for an answer. A name
 * covers every static variable of that name in the unit, those inside
 * functions too; write the declaration where the name is unique.
 */
#define __RESPLICE_DECLARE(word, name)					\
	static const char __UNIQUE_ID(resplice_declare)[]		\
	__used __aligned(1) __section(".resplice.declare") = word ":" name

/* The initialiser of existing data changed; the running value shall stay. */
#define RESPLICE_DATA_KEEP(variable)	__RESPLICE_DECLARE("data-keep", #variable)

/*
 * The initialiser of existing data changed; the new contents shall be put in
 * place of the running ones, whatever these are by now, and back on undo.
 */
#define RESPLICE_DATA_SET(variable)	__RESPLICE_DECLARE("data-set", #variable)

/*
 * An __init function, or data of such, changed; there is nothing to make up
 * for in a kernel that has started, or a hook does it.
 */
#define RESPLICE_INIT_DONE(function)	__RESPLICE_DECLARE("init-done", #function)

/*
 * The layout of a type changed: RESPLICE_LAYOUT_OK(struct page_pool). No object
 * of the old layout meets code that knows the new one.
 */
#define RESPLICE_LAYOUT_OK(type)	__RESPLICE_DECLARE("layout-ok", #type)

#endif /* RESPLICE_HOOKS_H */
