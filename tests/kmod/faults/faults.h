/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included ahead of each of the core's sources in the build that tests faults:
 * the N-th call that can fail does, as if the kernel had refused it.
 */
#ifndef RT_FAULTS_H
#define RT_FAULTS_H

#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

/* A static function of the core that has its name from none of its own includes. */
#define find_user		rt_find_user

/* Counts a call; true for the one that is to fail. Safe in any context. */
bool rt_fault(void);

/* From Linux 6.10 on some are macros themselves, around functions that count for whom. */
#ifdef kzalloc
#define RT_OWN(call)		call##_noprof
#undef kzalloc
#undef kmalloc_array
#undef kmemdup
#undef krealloc
#undef kvmalloc
#undef kvcalloc
#else
#define RT_OWN(call)		call
#endif

#define kzalloc(...)		(rt_fault() ? NULL : RT_OWN(kzalloc)(__VA_ARGS__))
#define kmalloc_array(...)	(rt_fault() ? NULL : RT_OWN(kmalloc_array)(__VA_ARGS__))
#define kmemdup(...)		(rt_fault() ? NULL : RT_OWN(kmemdup)(__VA_ARGS__))
#define kstrdup(...)		(rt_fault() ? NULL : kstrdup(__VA_ARGS__))
#define kstrndup(...)		(rt_fault() ? NULL : kstrndup(__VA_ARGS__))
#define kasprintf(...)		(rt_fault() ? NULL : kasprintf(__VA_ARGS__))
#define argv_split(...)		(rt_fault() ? NULL : argv_split(__VA_ARGS__))
#define krealloc(...)		(rt_fault() ? NULL : RT_OWN(krealloc)(__VA_ARGS__))
#define kvmalloc(size, flags) \
	(rt_fault() ? NULL : kvmalloc_node(size, flags, NUMA_NO_NODE))
#define kvcalloc(...)		(rt_fault() ? NULL : RT_OWN(kvcalloc)(__VA_ARGS__))
#define vmap(...)		(rt_fault() ? NULL : vmap(__VA_ARGS__))
#define try_module_get(...)	(rt_fault() ? false : try_module_get(__VA_ARGS__))
#define mutex_is_locked(...)	(rt_fault() || mutex_is_locked(__VA_ARGS__))
#define stop_machine(...)	(rt_fault() ? -ENOMEM : stop_machine(__VA_ARGS__))
#define msleep_interruptible(...) (rt_fault() ? 1 : msleep_interruptible(__VA_ARGS__))
#define alloc_workqueue(...)	(rt_fault() ? NULL : alloc_workqueue(__VA_ARGS__))
#define call_usermodehelper(...) (rt_fault() ? -ENOMEM : call_usermodehelper(__VA_ARGS__))
#define register_kprobe(...)	(rt_fault() ? -EINVAL : register_kprobe(__VA_ARGS__))
#define register_module_notifier(...) \
	(rt_fault() ? -ENOMEM : register_module_notifier(__VA_ARGS__))
#define copy_from_kernel_nofault(...) \
	(rt_fault() ? -EFAULT : copy_from_kernel_nofault(__VA_ARGS__))
#define kobject_create_and_add(...) \
	(rt_fault() ? NULL : kobject_create_and_add(__VA_ARGS__))
#define sysfs_create_file(...)	(rt_fault() ? -ENOMEM : sysfs_create_file(__VA_ARGS__))
#define sysfs_create_bin_file(...) \
	(rt_fault() ? -ENOMEM : sysfs_create_bin_file(__VA_ARGS__))
/* Its caller owns an initialised kobject also when this fails. */
#define kobject_init_and_add(object, type, ...) \
	(rt_fault() ? (kobject_init(object, type), -ENOMEM) : \
	 kobject_init_and_add(object, type, __VA_ARGS__))

#endif /* RT_FAULTS_H */
