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

struct module;

/*
 * Declarations. Each answers one question that the builder would otherwise
 * refuse the patch with; they are no code. A declaration that no change needs
 * is an error, so that a mistyped name is not taken for an answer. A name
 * covers every static variable of that name in the unit, those inside
 * functions too; write the declaration where the name is unique.
 *
 * The patch's description can say the same, which leaves its source alone:
 *	Resplice-Declare: init-done net/core/a.c:a_init (why that is so)
 */
#define __RESPLICE_DECLARE(word, name)					\
	static const char __UNIQUE_ID(resplice_declare)[]		\
	__used __aligned(1) __section(".resplice.declare") = word ":" name

/* The initialiser of existing data changed; the running value shall stay. */
#define RESPLICE_DATA_KEEP(variable)	__RESPLICE_DECLARE("data-keep", #variable)

/*
 * The initialiser of existing data changed; what differs shall be put in place,
 * and back on undo. A kernel where it is not as the old initialiser says by now
 * refuses the update: what to do then is a hook's to say.
 */
#define RESPLICE_DATA_SET(variable)	__RESPLICE_DECLARE("data-set", #variable)

/*
 * An __init function, or data of such, changed; there is nothing to make up
 * for in a kernel that has started, or a hook does it.
 */
#define RESPLICE_INIT_DONE(function)	__RESPLICE_DECLARE("init-done", #function)

/*
 * The code of a module's exit changed, and the builder could not keep the module
 * until the next boot: it may run before the module goes, or is all that changes.
 * The old one runs then, and is right for what the old code has left, or a hook
 * makes up for it. With this the module may go again after undo.
 */
#define RESPLICE_EXIT_KEEP(function)	__RESPLICE_DECLARE("exit-keep", #function)

/*
 * The layout of a type changed: RESPLICE_LAYOUT_OK(struct page_pool). No object
 * of the old layout meets code that knows the new one.
 */
#define RESPLICE_LAYOUT_OK(type)	__RESPLICE_DECLARE("layout-ok", #type)

/*
 * Hooks: functions that the patch adds, run by the core around the exchange of
 * the code. A patch may consist of hooks alone.
 *
 *	kind	when						may sleep  may refuse
 *	PRE	before anything is changed			yes	   yes
 *	CHECK	machine stopped, nobody is in the old code	no	   yes
 *	APPLY,	machine stopped, the code has been exchanged	no	   no
 *	REVERSE
 *	POST	the new code runs (REVERSE: the old)		yes	   no
 *	FAIL	PRE has succeeded, and then something failed	yes	   no
 *
 * Each stage runs all of its hooks, those of a unit in the order in which they
 * are written, before the next stage begins. What refuses returns a negative
 * errno; nothing is changed then. If a CHECK hook returns -EBUSY the machine
 * goes on and the attempt is repeated, up to ten times in about three seconds.
 *
 * The n-th FAIL hook of a unit undoes what its n-th PRE hook did: it runs, in
 * reverse order, only if that one had succeeded. A PRE hook that refuses has
 * undone its own work itself. A FAIL hook without a counterpart runs if all PRE
 * hooks of the kernel object had succeeded.
 *
 * Where sleeping is allowed, interrupts are on and the core holds its mutex:
 * a hook must not load or unload modules, nor wait for anyone who does. With
 * the machine stopped, interrupts are off on all CPUs: no lock that a stopped
 * task may hold, no allocation, and a few microseconds at most.
 *
 * A hook that calls a replaced function calls the new code, also before the
 * exchange. Hooks may use whatever new code may: unexported and static symbols.
 * They are code of the update: undo waits until nobody is in them.
 */

/* The kernel object that this part of the update changes. */
struct resplice_object {
	const char *name;		/* NULL: vmlinux */
	struct module *mod;		/* NULL: vmlinux */
};

typedef int resplice_refusing_hook_fn(const struct resplice_object *object);
typedef void resplice_hook_fn(const struct resplice_object *object);

#define __RESPLICE_HOOK(type, kind, function)				\
	static type * const __UNIQUE_ID(resplice_hook)			\
	__used __attribute__((no_reorder))				\
	__section(".resplice.hook." kind) = (function)

#define RESPLICE_PRE_APPLY(function)					\
	__RESPLICE_HOOK(resplice_refusing_hook_fn, "pre_apply", function)
#define RESPLICE_CHECK_APPLY(function)					\
	__RESPLICE_HOOK(resplice_refusing_hook_fn, "check_apply", function)
#define RESPLICE_APPLY(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "apply", function)
#define RESPLICE_POST_APPLY(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "post_apply", function)
#define RESPLICE_FAIL_APPLY(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "fail_apply", function)

#define RESPLICE_PRE_REVERSE(function)					\
	__RESPLICE_HOOK(resplice_refusing_hook_fn, "pre_reverse", function)
#define RESPLICE_CHECK_REVERSE(function)				\
	__RESPLICE_HOOK(resplice_refusing_hook_fn, "check_reverse", function)
#define RESPLICE_REVERSE(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "reverse", function)
#define RESPLICE_POST_REVERSE(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "post_reverse", function)
#define RESPLICE_FAIL_REVERSE(function)					\
	__RESPLICE_HOOK(resplice_hook_fn, "fail_reverse", function)

#endif /* RESPLICE_HOOKS_H */
