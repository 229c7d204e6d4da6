// SPDX-License-Identifier: GPL-2.0-only
/* Kprobes, which write over running code. */
#include <linux/kprobes.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "probes.h"
#include "report.h"
#include "symbols.h"

#define BREAKPOINT	0xcc
#define JUMP		0xe9
/* Looked up at a time with preemption off. */
#define STRIDE		256u

/* The probe whose breakpoint or jump begins here. Preemption must be off. */
static struct kprobe *probe_at(unsigned long address)
{
	struct kprobe *probe = static_call(rs_get_kprobe)((void *)address);

	return probe && !(probe->flags & KPROBE_FLAG_FTRACE) ? probe : NULL;
}

static void hide(u8 *copy, unsigned long address, u32 room)
{
	struct kprobe *probe = probe_at(address);

	if (!probe)
		return;
#ifdef CONFIG_OPTPROBES
	if (copy[0] == JUMP) {
		struct optimized_kprobe *op = container_of(probe, struct optimized_kprobe, kp);

		if (!(probe->flags & KPROBE_FLAG_OPTIMIZED))
			return;
		memcpy(copy + 1, op->optinsn.copied_insn,
		       min_t(u32, room - 1, sizeof(op->optinsn.copied_insn)));
	}
#endif
	copy[0] = probe->opcode;
}

void rs_probes_hide(u8 *copy, unsigned long base, u32 size)
{
	u32 i;

	for (i = 0; i < size; i++) {
		if (copy[i] != BREAKPOINT && copy[i] != JUMP)
			continue;
		preempt_disable();	/* probes are freed after a grace period */
		hide(copy + i, base + i, size - i);
		preempt_enable();
	}
}

int rs_probes_check(const char *name, unsigned long function, u32 from, u32 to)
{
	u32 i, end;

	for (; from < to; from = end) {
		bool found = false;

		end = min(from + STRIDE, to);
		preempt_disable();
		for (i = from; !found && i < end; i++)
			found = probe_at(function + i);
		preempt_enable();
		if (found)
			return rs_refuse(-EBUSY, "probe",
					 "a kprobe sits at %s+0x%x: remove it first", name, i - 1);
		cond_resched();
	}
	return 0;
}
