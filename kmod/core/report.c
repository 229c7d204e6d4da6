// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "report.h"

#define REPORT_MAX_BYTES	(4u << 20)
#define REPORT_STEP_BYTES	4096u

static DEFINE_MUTEX(report_lock);
static char *report_text;
static size_t report_len, report_cap;

static bool report_room(size_t need)
{
	size_t cap = max_t(size_t, report_cap * 2, REPORT_STEP_BYTES);
	char *text;

	if (report_len + need < report_cap)
		return true;
	while (cap <= report_len + need)
		cap *= 2;
	if (cap > REPORT_MAX_BYTES)
		return false;
	text = kvmalloc(cap, GFP_KERNEL);
	if (!text)
		return false;
	if (report_len)
		memcpy(text, report_text, report_len);
	kvfree(report_text);
	report_text = text;
	report_cap = cap;
	return true;
}

void rs_report_begin(const char *update)
{
	mutex_lock(&report_lock);
	report_len = 0;
	mutex_unlock(&report_lock);
	rs_report("update: %s\n", update);
}

void rs_report(const char *fmt, ...)
{
	va_list args, again;
	int len;

	mutex_lock(&report_lock);
	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	/* Without room the line is lost here, yet the caller's error stands. */
	if (len > 0 && report_room(len + 1))
		report_len += vscnprintf(report_text + report_len,
					 report_cap - report_len, fmt, args);
	va_end(args);
	mutex_unlock(&report_lock);
}

ssize_t rs_report_read(char *buf, loff_t pos, size_t count)
{
	ssize_t ret;

	mutex_lock(&report_lock);
	ret = memory_read_from_buffer(buf, count, &pos, report_text, report_len);
	mutex_unlock(&report_lock);
	return ret;
}

void rs_report_free(void)
{
	kvfree(report_text);
	report_text = NULL;
	report_len = 0;
	report_cap = 0;
}
