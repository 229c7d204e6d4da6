// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules that an update has a part for and that are not loaded. When one comes,
 * a program is called that brings the part in, and the module's init has to wait.
 *
 * This is the last of the notifiers, so that the module's text is as it will stay.
 * The part's own load passes through the chain meanwhile; whoever wants to register
 * a notifier in between keeps it out until this one gives in. So the module waits
 * for so long and no longer, and then comes as it is.
 */
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/umh.h>
#include <linux/workqueue.h>

#include "await.h"

#define PATIENCE_S	10

static DEFINE_MUTEX(lock);	/* guards: */
static char *awaited;		/* as it was written */

static struct workqueue_struct *callers;

struct call {
	struct work_struct work;
	struct kref kref;
	struct completion done;
	char **argv;
	int status;
};

/* ------------------------------- who is awaited --------------------------- */

static bool is_name(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isalnum(name[i]) && name[i] != '_')
			return false;
	return len && len < MODULE_NAME_LEN;
}

static bool is_in_order(const char *text)
{
	const char *end, *at = strchrnul(text, '\n');

	if (*text != '/')
		return false;
	while (*at) {
		end = strchrnul(++at, '\n');
		if (!is_name(at, end - at))
			return false;
		at = end;
	}
	return true;
}

int rs_await_set(const char *text, size_t len)
{
	char *fresh = NULL, *old;

	while (len && text[len - 1] == '\n')
		len--;
	if (len) {
		fresh = kstrndup(text, len, GFP_KERNEL);
		if (!fresh)
			return -ENOMEM;
		if (strlen(fresh) != len || !is_in_order(fresh)) {
			kfree(fresh);
			return -EINVAL;
		}
	}
	mutex_lock(&lock);
	old = awaited;
	awaited = fresh;
	mutex_unlock(&lock);
	kfree(old);
	return 0;
}

ssize_t rs_await_show(char *buf)
{
	ssize_t len = 0;

	mutex_lock(&lock);
	if (awaited)
		len = sysfs_emit(buf, "%s\n", awaited);
	mutex_unlock(&lock);
	return len;
}

static bool names(const char *text, const char *name)
{
	const char *end, *at = strchrnul(text, '\n');

	while (*at) {
		end = strchrnul(++at, '\n');
		if (end - at == strlen(name) && !memcmp(at, name, end - at))
			return true;
		at = end;
	}
	return false;
}

/* The words of the first line, and the module: NULL if it is not awaited. */
static char **words_for(const char *name)
{
	char **argv = NULL;
	char *line;

	mutex_lock(&lock);
	if (awaited && names(awaited, name)) {
		line = kasprintf(GFP_KERNEL, "%.*s %s",
				 (int)(strchrnul(awaited, '\n') - awaited), awaited, name);
		if (line)
			argv = argv_split(GFP_KERNEL, line, NULL);
		kfree(line);
		if (!argv)
			pr_warn("resplice: no memory to patch %s: it comes as it is\n", name);
	}
	mutex_unlock(&lock);
	return argv;
}

/* --------------------------------- the call ------------------------------- */

static void call_free(struct kref *kref)
{
	struct call *call = container_of(kref, struct call, kref);

	argv_free(call->argv);
	kfree(call);
}

static void call_run(struct work_struct *work)
{
	char *envp[2] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct call *call = container_of(work, struct call, work);

	call->status = call_usermodehelper(call->argv[0], call->argv, envp, UMH_WAIT_PROC);
	complete(&call->done);
	kref_put(&call->kref, call_free);
}

static void call_and_wait(char **argv, const char *name)
{
	struct call *call = kzalloc(sizeof(*call), GFP_KERNEL);

	if (!call) {
		argv_free(argv);
		pr_warn("resplice: no memory to patch %s: it comes as it is\n", name);
		return;
	}
	kref_init(&call->kref);
	kref_get(&call->kref);		/* the worker's */
	init_completion(&call->done);
	INIT_WORK(&call->work, call_run);
	call->argv = argv;
	queue_work(callers, &call->work);
	if (!wait_for_completion_timeout(&call->done, PATIENCE_S * HZ))
		pr_warn("resplice: %s is not patched after %d s: it comes as it is\n", name,
			PATIENCE_S);
	else if (call->status)
		pr_warn("resplice: %s is not patched: %s ended with %d: it comes as it is\n",
			name, argv[0],
			call->status > 0 ? call->status >> 8 : call->status);
	kref_put(&call->kref, call_free);
}

static int module_comes(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *mod = data;
	char **argv;

	if (event != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	argv = words_for(mod->name);
	if (argv)
		call_and_wait(argv, mod->name);
	return NOTIFY_DONE;
}

static struct notifier_block module_watch = {
	.notifier_call = module_comes,
	.priority = INT_MIN,
};

int rs_await_init(void)
{
	int err;

	callers = alloc_workqueue("resplice", WQ_UNBOUND, 0);
	if (!callers)
		return -ENOMEM;
	err = register_module_notifier(&module_watch);
	if (err)
		destroy_workqueue(callers);
	return err;
}

void rs_await_exit(void)
{
	unregister_module_notifier(&module_watch);
	destroy_workqueue(callers);
	kfree(awaited);
}
