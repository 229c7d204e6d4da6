// SPDX-License-Identifier: GPL-2.0-only
/* /sys/kernel/resplice: what is applied, what the last load said, undo. */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <resplice/format.h>

#include "await.h"
#include "group.h"
#include "report.h"
#include "update.h"

static struct kobject *root;
static struct kobject *updates_dir;

static struct rs_update *to_update(struct kobject *kobj)
{
	return container_of(kobj, struct rs_update, kobj);
}

#define SHOW(name, fmt, value)							\
static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr,	\
			   char *buf)						\
{										\
	struct rs_update *u = to_update(kobj);					\
	ssize_t len;								\
										\
	mutex_lock(&rs_lock);							\
	len = sysfs_emit(buf, fmt "\n", value);					\
	mutex_unlock(&rs_lock);							\
	return len;								\
}										\
static struct kobj_attribute name##_attr = __ATTR(name, 0444, name##_show, NULL)

static const char *const state_names[] = {
	[RS_LOADED] = "loaded",
	[RS_APPLIED] = "applied",
	[RS_UNDONE] = "undone",
	[RS_SUPERSEDED] = "superseded",
};

SHOW(state, "%s", state_names[u->state]);
SHOW(object, "%s", u->object);
SHOW(id, "%s", u->group->id);
SHOW(part, "%u", u->part);
SHOW(parts, "%u", u->group->nr_parts);
SHOW(pause_ns, "%llu", u->group->result.pause_ns);
SHOW(work_ns, "%llu", u->group->result.work_ns);
SHOW(attempts, "%u", u->group->result.attempts);
SHOW(bytes, "%zu", u->bytes);
SHOW(stays, "%d", u->stays);

static ssize_t functions_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct rs_update *u = to_update(kobj);
	ssize_t len = 0;
	u32 i;

	mutex_lock(&rs_lock);
	for (i = 0; i < u->nr_functions; i++) {
		const struct rs_function *f = &u->functions[i];

		/* %pK: addresses only for those who may see them anyway */
		len += sysfs_emit_at(buf, len, "%s %s %pK %u -> %pK %u\n", f->name, f->unit,
				     (void *)f->old, f->old_size, (void *)f->new, f->new_size);
	}
	mutex_unlock(&rs_lock);
	return len;
}

static ssize_t data_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct rs_update *u = to_update(kobj);
	ssize_t len = 0;
	u32 i;

	mutex_lock(&rs_lock);
	for (i = 0; i < u->nr_data; i++)
		len += sysfs_emit_at(buf, len, "%s %pK %u\n", u->data[i].name,
				     (void *)u->data[i].address, u->data[i].size);
	mutex_unlock(&rs_lock);
	return len;
}

static ssize_t supersedes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct rs_group *g = to_update(kobj)->group;
	ssize_t len = 0;
	u32 i;

	for (i = 0; i < g->nr_supersedes; i++)
		len += sysfs_emit_at(buf, len, "%s\n", g->supersedes[i].id);
	return len;
}

static ssize_t conflicts_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct rs_scan *scan = &to_update(kobj)->group->result.scan;
	ssize_t len = 0;
	u32 i, n;

	mutex_lock(&rs_lock);
	n = min_t(u32, atomic_read(&scan->nr_conflicts), RS_CONFLICTS);
	for (i = 0; i < n; i++)
		len += sysfs_emit_at(buf, len, "%d %s %pS\n", scan->conflicts[i].pid,
				     scan->conflicts[i].comm,
				     (void *)scan->conflicts[i].address);
	if (scan->nr_ending)
		len += sysfs_emit_at(buf, len, "tasks at the end of their exit: %lu\n",
				     scan->nr_ending);
	mutex_unlock(&rs_lock);
	return len;
}

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	ssize_t len;

	mutex_lock(&rs_lock);
	len = sysfs_emit(buf, "%d\n", to_update(kobj)->state == RS_APPLIED);
	mutex_unlock(&rs_lock);
	return len;
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	struct rs_update *u = to_update(kobj);
	bool enable;
	int err;

	err = kstrtobool(buf, &enable);
	if (err)
		return err;
	mutex_lock(&rs_lock);
	rs_report_begin(u->mod->name);
	err = enable ? rs_group_apply(u->group) : rs_group_undo(u->group);
	mutex_unlock(&rs_lock);
	return err ?: count;
}

static struct kobj_attribute data_attr = __ATTR(data, 0400, data_show, NULL);
static struct kobj_attribute functions_attr = __ATTR(functions, 0400, functions_show, NULL);
static struct kobj_attribute supersedes_attr = __ATTR(supersedes, 0444, supersedes_show, NULL);
static struct kobj_attribute conflicts_attr = __ATTR(conflicts, 0400, conflicts_show, NULL);
static struct kobj_attribute enabled_attr = __ATTR(enabled, 0600, enabled_show, enabled_store);

static struct attribute *update_attrs[] = {
	&id_attr.attr, &part_attr.attr, &parts_attr.attr, &state_attr.attr,
	&object_attr.attr, &functions_attr.attr, &pause_ns_attr.attr, &work_ns_attr.attr,
	&attempts_attr.attr, &bytes_attr.attr, &stays_attr.attr, &data_attr.attr,
	&conflicts_attr.attr, &enabled_attr.attr, &supersedes_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(update);

static void update_release(struct kobject *kobj)
{
	rs_update_free(to_update(kobj));
}

static const struct kobj_type update_type = {
	.sysfs_ops = &kobj_sysfs_ops,
	.release = update_release,
	.default_groups = update_groups,
};

int rs_sysfs_add(struct rs_update *update)
{
	int err = kobject_init_and_add(&update->kobj, &update_type, updates_dir, "%s",
				       update->mod->name);

	if (err)
		kobject_put(&update->kobj);
	return err;
}

void rs_sysfs_remove(struct rs_update *update)
{
	kobject_del(&update->kobj);
	kobject_put(&update->kobj);
}

static ssize_t abi_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", RESPLICE_FORMAT);
}

static ssize_t awaited_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return rs_await_show(buf);
}

static ssize_t awaited_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	return rs_await_set(buf, count) ?: count;
}

static ssize_t report_read(struct file *file, struct kobject *kobj,
			   struct bin_attribute *attr, char *buf, loff_t pos, size_t count)
{
	return rs_report_read(buf, pos, count);
}

static struct kobj_attribute abi_attr = __ATTR(abi, 0444, abi_show, NULL);
static struct kobj_attribute awaited_attr = __ATTR(awaited, 0600, awaited_show, awaited_store);
static struct bin_attribute report_attr = {
	.attr = { .name = "report", .mode = 0400 },
	.read = report_read,
};

int rs_sysfs_init(void)
{
	int err;

	root = kobject_create_and_add("resplice", kernel_kobj);
	if (!root)
		return -ENOMEM;
	updates_dir = kobject_create_and_add("updates", root);
	err = updates_dir ? 0 : -ENOMEM;
	err = err ?: sysfs_create_file(root, &abi_attr.attr);
	err = err ?: sysfs_create_file(root, &awaited_attr.attr);
	err = err ?: sysfs_create_bin_file(root, &report_attr);
	if (err)
		rs_sysfs_exit();
	return err;
}

void rs_sysfs_exit(void)
{
	kobject_put(updates_dir);
	kobject_put(root);
}
