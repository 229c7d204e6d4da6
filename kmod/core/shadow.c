// SPDX-License-Identifier: GPL-2.0-only
/* Shadow variables: data that patches attach to objects; see resplice/shadow.h. */
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <resplice/shadow.h>

#include "shadow.h"

struct shadow {
	struct hlist_node node;
	struct rcu_head rcu;
	struct shadow *next;		/* once detached: the next one to be freed */
	const void *object;
	u64 id;
	u64 data[];
};

/* Who uses an id. */
struct shadow_user {
	struct list_head node;
	u64 id;
	u32 count;
};

static DEFINE_HASHTABLE(shadows, 12);
static DEFINE_SPINLOCK(shadow_lock);	/* for changes; readers take none */
static LIST_HEAD(users);
static DEFINE_MUTEX(users_lock);

static u64 key_of(const void *object, u64 id)
{
	return (unsigned long)object ^ hash_64(id, 64);
}

/* Under the lock or RCU. */
static struct shadow *find(const void *object, u64 id)
{
	struct shadow *s;

	hash_for_each_possible_rcu(shadows, s, node, key_of(object, id),
				   lockdep_is_held(&shadow_lock))
		if (s->object == object && s->id == id)
			return s;
	return NULL;
}

void *resplice_shadow_get(const void *object, u64 id)
{
	struct shadow *s;

	rcu_read_lock();
	s = find(object, id);
	rcu_read_unlock();
	return s ? s->data : NULL;
}
EXPORT_SYMBOL_GPL(resplice_shadow_get);

static void *attach(void *object, u64 id, size_t size, gfp_t gfp,
		    resplice_shadow_ctor *ctor, void *argument, bool or_get)
{
	struct shadow *fresh, *found;
	unsigned long flags;
	void *data = NULL;

	if (!size || size > RESPLICE_SHADOW_MAX_BYTES)
		return NULL;
	fresh = kzalloc(struct_size(fresh, data, DIV_ROUND_UP(size, sizeof(u64))), gfp);
	if (!fresh)
		return NULL;
	fresh->object = object;
	fresh->id = id;
	spin_lock_irqsave(&shadow_lock, flags);
	found = find(object, id);
	if (found) {
		data = or_get ? found->data : NULL;
	} else if (!ctor || !ctor(object, fresh->data, argument)) {
		data = fresh->data;
		hash_add_rcu(shadows, &fresh->node, key_of(object, id));
		fresh = NULL;
	}
	spin_unlock_irqrestore(&shadow_lock, flags);
	kfree(fresh);
	return data;
}

void *resplice_shadow_attach(void *object, u64 id, size_t size, gfp_t gfp,
			     resplice_shadow_ctor *ctor, void *argument)
{
	return attach(object, id, size, gfp, ctor, argument, false);
}
EXPORT_SYMBOL_GPL(resplice_shadow_attach);

void *resplice_shadow_get_or_attach(void *object, u64 id, size_t size, gfp_t gfp,
				    resplice_shadow_ctor *ctor, void *argument)
{
	return resplice_shadow_get(object, id) ?:
	       attach(object, id, size, gfp, ctor, argument, true);
}
EXPORT_SYMBOL_GPL(resplice_shadow_get_or_attach);

/* What has been detached is nobody else's any more, but may still be read. */
static void give_up(struct shadow *list, resplice_shadow_dtor *dtor)
{
	struct shadow *next;

	for (; list; list = next) {
		next = list->next;
		if (dtor)
			dtor((void *)list->object, list->data);
		kfree_rcu(list, rcu);
	}
}

void resplice_shadow_detach(void *object, u64 id, resplice_shadow_dtor *dtor)
{
	unsigned long flags;
	struct shadow *s;

	spin_lock_irqsave(&shadow_lock, flags);
	s = find(object, id);
	if (s)
		hash_del_rcu(&s->node);
	spin_unlock_irqrestore(&shadow_lock, flags);
	give_up(s, dtor);
}
EXPORT_SYMBOL_GPL(resplice_shadow_detach);

static struct shadow *take_all(bool every, u64 id)
{
	struct shadow *s, *list = NULL;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&shadow_lock, flags);
	hash_for_each_safe(shadows, bucket, next, s, node) {
		if (!every && s->id != id)
			continue;
		hash_del_rcu(&s->node);
		s->next = list;
		list = s;
	}
	spin_unlock_irqrestore(&shadow_lock, flags);
	return list;
}

void resplice_shadow_detach_all(u64 id, resplice_shadow_dtor *dtor)
{
	give_up(take_all(false, id), dtor);
}
EXPORT_SYMBOL_GPL(resplice_shadow_detach_all);

/* ---------------------------------- users --------------------------------- */

static struct shadow_user *user_of(u64 id)
{
	struct shadow_user *u;

	list_for_each_entry(u, &users, node)
		if (u->id == id)
			return u;
	return NULL;
}

int resplice_shadow_hold(u64 id)
{
	struct shadow_user *u;
	int err = 0;

	mutex_lock(&users_lock);
	u = user_of(id);
	if (!u) {
		u = kzalloc(sizeof(*u), GFP_KERNEL);
		if (u) {
			u->id = id;
			list_add(&u->node, &users);
		}
	}
	if (u)
		u->count++;
	else
		err = -ENOMEM;
	mutex_unlock(&users_lock);
	return err;
}
EXPORT_SYMBOL_GPL(resplice_shadow_hold);

void resplice_shadow_release(u64 id, resplice_shadow_dtor *dtor)
{
	struct shadow_user *u;
	bool last = false;

	mutex_lock(&users_lock);
	u = user_of(id);
	if (!WARN_ON_ONCE(!u) && !--u->count) {
		list_del(&u->node);
		kfree(u);
		last = true;
	}
	/* Under the lock: whoever holds the id next finds none of the old ones. */
	if (last)
		resplice_shadow_detach_all(id, dtor);
	mutex_unlock(&users_lock);
}
EXPORT_SYMBOL_GPL(resplice_shadow_release);

/* No update is left whose destructors could be called. */
void rs_shadow_exit(void)
{
	struct shadow_user *u, *next;

	list_for_each_entry_safe(u, next, &users, node)
		kfree(u);
	give_up(take_all(true, 0), NULL);
}
