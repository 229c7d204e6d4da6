/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Shadow variables: fields that a patch adds to objects of the running kernel,
 * which have no room for them. They are kept beside the object, by its address
 * and an id that the patch's author chooses: at random, or the number of the
 * advisory; all updates on a host share one space.
 *
 * They belong to the object, not to the update: an update that takes the place
 * of another finds what that one attached. Each update that knows an id holds
 * it from a PRE_APPLY hook on and releases it in FAIL_APPLY and POST_REVERSE
 * hooks; with the last one, all shadow variables of that id are freed. What
 * nobody has released by then is freed with the core, without destructors.
 *
 * An object's shadow variable must be detached before the object is freed:
 * the next object at that address would inherit it. So the function that frees
 * the object is part of the patch as well.
 */
#ifndef RESPLICE_SHADOW_H
#define RESPLICE_SHADOW_H

#include <linux/types.h>

/* Limit of one shadow variable, in bytes. */
#define RESPLICE_SHADOW_MAX_BYTES	65536u

/*
 * Fills in a new shadow variable, which is zeroed; an error takes it back.
 * Called with a spinlock held and interrupts off: it must not sleep.
 */
typedef int resplice_shadow_ctor(void *object, void *data, void *argument);
/* Gives up what the data refers to; called in the context of the detaching. */
typedef void resplice_shadow_dtor(void *object, void *data);

/*
 * The data attached to an object, or NULL. Any context, NMI too; takes no lock.
 * It stays as long as the object's user keeps it from being detached.
 */
void *resplice_shadow_get(const void *object, u64 id);

/*
 * Attach data to an object that has none of that id. NULL: it has some, there
 * is no memory, the size is 0 or above the limit, or the constructor refused.
 * Any context but NMI, as far as gfp allows. ctor may be NULL.
 */
void *resplice_shadow_attach(void *object, u64 id, size_t size, gfp_t gfp,
			     resplice_shadow_ctor *ctor, void *argument);

/* As above, but data that is there already is returned as it is. */
void *resplice_shadow_get_or_attach(void *object, u64 id, size_t size, gfp_t gfp,
				    resplice_shadow_ctor *ctor, void *argument);

/*
 * Detach an object's data and free it after a grace period; nothing happens if
 * there is none. Any context but NMI, as far as dtor, which may be NULL, allows.
 */
void resplice_shadow_detach(void *object, u64 id, resplice_shadow_dtor *dtor);

/* Detach the data of that id from all objects. */
void resplice_shadow_detach_all(u64 id, resplice_shadow_dtor *dtor);

/* One user of an id more. Process context. 0 or -ENOMEM. */
int resplice_shadow_hold(u64 id);

/* One user less; the last one's destructor is run for all that is left. */
void resplice_shadow_release(u64 id, resplice_shadow_dtor *dtor);

#endif /* RESPLICE_SHADOW_H */
