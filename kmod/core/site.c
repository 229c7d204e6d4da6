// SPDX-License-Identifier: GPL-2.0-only
/*
 * The places where running text lawfully differs from the compiler's: what
 * arch/x86/kernel/{alternative,static_call,jump_label,ftrace}.c may have made
 * of each kind of site. Every form is built and compared; none is masked.
 */
#include <linux/module.h>
#include <linux/static_call_types.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <asm/alternative.h>

#include "match.h"

#define CALL	0xe8
#define JMP32	0xe9
#define JMP8	0xeb
#define RET	0xc3
#define INT3	0xcc

static const u8 nop2[] = { 0x66, 0x90 };
static const u8 nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const u8 ret5[] = { RET, INT3, INT3, INT3, INT3 };
static const u8 xor5[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };	/* static call to return0 */
static const u8 trampoline_ud1[] = { 0x0f, 0xb9, 0xcc };
static const u8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
static const u8 sealed[] = { 0x66, 0x0f, 0x1f, 0x00 };

/* The site under comparison. */
struct view {
	const struct resplice_site *site;
	const u8 *ref, *run;
	unsigned long address;
};

static unsigned long rel32_target(const u8 *field, unsigned long field_address)
{
	s32 rel;

	memcpy(&rel, field, sizeof(rel));
	return field_address + sizeof(rel) + rel;
}

static unsigned long branch_target(const struct view *v, u32 opcode_len)
{
	return rel32_target(v->run + opcode_len, v->address + opcode_len);
}

/* As compiled: plain bytes and relocations, without further sites. */
static bool original(struct rs_match *m, struct rs_cursor at, const struct view *v, bool nops)
{
	const struct resplice_section *sec = at.section;
	struct rs_piece piece = {
		.ref = v->ref, .run = v->run, .address = v->address, .len = v->site->len,
		.relocs = m->image->relocs + at.reloc, .origin = v->site->offset, .nops = nops,
	};
	u32 last = sec->first_reloc + sec->nr_relocs, mark = m->nr_trail;

	while (at.reloc + piece.nr_relocs < last &&
	       piece.relocs[piece.nr_relocs].offset < v->site->offset + v->site->len)
		piece.nr_relocs++;
	if (rs_match_piece(m, &piece))
		return true;
	rs_match_rollback(m, mark);
	return false;
}

/*
 * The tracer may call anything, yet only from this slot, and the replacement's
 * jump comes after it: whatever is called has returned by then.
 */
static bool fentry_site(const struct view *v)
{
	return !memcmp(v->run, nop5, 5) || v->run[0] == CALL;
}

static bool is_return_thunk(unsigned long target)
{
	return (rs_kernel.return_thunk && target == rs_kernel.return_thunk) ||
	       (rs_kernel.custom_return_thunk && target == *rs_kernel.custom_return_thunk);
}

static bool return_site(const struct view *v)
{
	if (!memcmp(v->run, ret5, 5))
		return true;
	return v->run[0] == JMP32 && is_return_thunk(branch_target(v, 1));
}

/* jmp *%reg; int3, as in the ITS thunks; any address that holds it will do. */
static bool is_its_thunk(unsigned long target, u32 reg)
{
	u8 want[4], found[4];
	u32 len = 0;

	if (reg >= 8)
		want[len++] = 0x41;
	want[len++] = 0xff;
	want[len++] = 0xe0 + (reg & 7);
	want[len++] = INT3;
	return !copy_from_kernel_nofault(found, (void *)target, len) &&
	       !memcmp(found, want, len);
}

/* The indirect branch that takes a retpoline's place; returns its length. */
static u32 inline_branch(const struct view *v, bool lfence, u8 *out)
{
	const u8 *ref = v->ref;
	u32 reg = v->site->a, len = v->site->len, i = 0;
	u8 op = ref[0] == 0x2e ? ref[1] : ref[0];

	if (op == 0x0f) {	/* jcc thunk: jump around it on the opposite */
		out[i++] = 0x70 + ((ref[1] & 0xf) ^ 1);
		out[i++] = len - 2;
		op = JMP32;
	}
	if (lfence) {
		out[i++] = 0x0f;
		out[i++] = 0xae;
		out[i++] = 0xe8;
	}
	if (reg >= 8)
		out[i++] = 0x41;
	out[i++] = 0xff;
	out[i++] = (op == CALL ? 0xd0 : 0xe0) + (reg & 7);
	if (op == JMP32 && i < len)
		out[i++] = INT3;
	return i;
}

static bool retpoline_site(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	u32 len = v->site->len, used, skip, lfence;
	u8 form[16];

	for (lfence = 0; lfence < 2; lfence++) {
		used = inline_branch(v, lfence, form);
		if (used <= len && !memcmp(v->run, form, used) &&
		    rs_nops_len(v->run + used, len - used) == len - used)
			return true;
	}
	/* A call of a thunk of its own: same opcode, prefix kept, other target. */
	skip = len - 4;
	if (!memcmp(v->run, v->ref, skip) &&
	    is_its_thunk(branch_target(v, skip), v->site->a))
		return true;
	return original(m, *at, v, false);
}

#ifdef ALT_FLAG_DIRECT_CALL
#define CALL_INDIRECT_BYTES	6u	/* call *disp32(%rip) */

static bool is_direct_call(const struct resplice_variant *var)
{
	return var->feature & (ALT_FLAG_DIRECT_CALL << ALT_FLAGS_SHIFT);
}

/* The pointer that the compiled call goes through, told by its name alone. */
static bool call_slot(struct rs_match *m, struct rs_cursor at, const struct view *v,
		      unsigned long *slot)
{
	const struct resplice_section *sec = at.section;
	const struct resplice_reloc *r = m->image->relocs + at.reloc;
	const struct rs_name *name;

	if (v->site->len != CALL_INDIRECT_BYTES || v->ref[0] != 0xff || v->ref[1] != 0x15 ||
	    at.reloc >= sec->first_reloc + sec->nr_relocs || r->type != R_X86_64_PC32 ||
	    r->offset != v->site->offset + 2)
		return false;
	name = rs_names_get(&m->names, rs_symbol_name(m->image, r->symbol));
	if (!name || name->count != 1)
		return false;
	*slot = name->address[0] + r->addend + sizeof(s32);
	return true;
}

/* An operation's direct call in place of the indirect one, or nothing where it does nothing. */
static bool direct_call(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	unsigned long slot, target;
	u32 len = v->site->len;

	if (!call_slot(m, *at, v, &slot) || get_kernel_nofault(target, (unsigned long *)slot))
		return false;
	if (target && target == rs_kernel.nop_func)
		return rs_nops_len(v->run, len) == len;
	return target && v->run[0] == CALL && branch_target(v, 1) == target &&
	       rs_nops_len(v->run + 5, len - 5) == len - 5;
}
#else
static bool is_direct_call(const struct resplice_variant *var)
{
	return false;
}

static bool direct_call(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	return false;
}
#endif

/* What the kernel leaves behind a jump that it has shortened. */
static bool after_short_jump(const struct view *v, u32 len)
{
	u32 at = 2;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	for (; at < 5; at++)
		if (v->run[at] != INT3)
			return false;
#endif
	return rs_nops_len(v->run + at, len - at) == len - at;
}

/* One replacement: copied, its branch re-aimed, padded with nops. */
static bool variant(struct rs_match *m, const struct view *v, const struct resplice_variant *var)
{
	const u8 *bytes = m->image->bytes + var->bytes;
	struct rs_piece piece = {
		.ref = bytes, .run = v->run, .address = v->address, .len = var->len,
		.relocs = m->image->relocs + var->first_reloc,
		.nr_relocs = var->nr_relocs, .nops = true,
	};
	const struct resplice_reloc *r = piece.relocs;
	u32 mark = m->nr_trail, len = v->site->len;

	if (var->len > len)
		return false;
	/* The kernel shortens a jump that reaches its target in two bytes. */
	if (var->len == 5 && bytes[0] == JMP32 && v->run[0] == JMP8) {
		unsigned long target = v->address + 2 + (s8)v->run[1];

		return var->nr_relocs == 1 && r->offset == 1 &&
		       rs_bind_symbol(m, r->symbol, target - 4 - r->addend) &&
		       after_short_jump(v, len);
	}
	if (rs_match_piece(m, &piece) &&
	    rs_nops_len(v->run + var->len, len - var->len) == len - var->len)
		return true;
	rs_match_rollback(m, mark);
	return false;
}

/* Not replaced: as compiled, though with sites of its own, and nops made long. */
static bool alternative_site(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	struct rs_cursor inner = *at;
	u32 i, mark = m->nr_trail;

	for (i = 0; i < v->site->b; i++) {
		const struct resplice_variant *var = &m->image->variants[v->site->a + i];

		if (is_direct_call(var) ? direct_call(m, at, v) : variant(m, v, var))
			return true;
	}
	inner.site = v->site - m->image->sites + 1;
	if (rs_match_span(m, &inner, v->site->offset, v->site->offset + v->site->len, true))
		return true;
	rs_match_rollback(m, mark);
	return false;
}

static bool paravirt_site(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	u32 len = v->site->len;
	unsigned long operation = 0;

	if (rs_nops_len(v->run, len) == len)
		return true;
	if (rs_kernel.pv_ops &&
	    get_kernel_nofault(operation, (unsigned long *)&rs_kernel.pv_ops[v->site->a]))
		return false;
	if (operation && v->run[0] == CALL && branch_target(v, 1) == operation &&
	    rs_nops_len(v->run + 5, len - 5) == len - 5)
		return true;
	return original(m, *at, v, false);
}

static bool jump_label_site(struct rs_match *m, const struct view *v)
{
	const struct resplice_site *s = v->site;
	unsigned long target;

	if (s->len == 2) {
		if (!memcmp(v->run, nop2, 2))
			return true;
		target = v->address + 2 + (s8)v->run[1];
		return v->run[0] == JMP8 && rs_bind_base(m, s->a, target - s->b);
	}
	if (!memcmp(v->run, nop5, 5))
		return true;
	return v->run[0] == JMP32 && rs_bind_base(m, s->a, branch_target(v, 1) - s->b);
}

/* What a trampoline jumps to; 0 if it returns, or is none. */
static unsigned long trampoline_function(unsigned long address)
{
	u8 code[5 + sizeof(trampoline_ud1)];

	if (copy_from_kernel_nofault(code, (void *)address, sizeof(code)) ||
	    code[0] != JMP32 || memcmp(code + 5, trampoline_ud1, sizeof(trampoline_ud1)))
		return 0;
	return rel32_target(code + 1, address + 1);
}

/*
 * What a static call's key aims at now; 0 if that can't be told. Where a key
 * is not exported, modules name its trampoline instead, which aims there too.
 */
static unsigned long static_call_function(struct rs_match *m, u32 key)
{
	const char *symbol = rs_symbol_name(m->image, key);
	const struct rs_name *name = rs_names_get(&m->names, symbol);
	unsigned long func;

	if (!name || name->count != 1)
		return 0;
	if (str_has_prefix(symbol, STATIC_CALL_TRAMP_PREFIX_STR))
		return trampoline_function(name->address[0]);
	if (get_kernel_nofault(func, (unsigned long *)name->address[0]))
		return 0;
	return func;
}

static bool static_call_site(struct rs_match *m, struct rs_cursor *at, const struct view *v)
{
	unsigned long func = static_call_function(m, v->site->a), target;
	u32 skip = v->site->len - 4;
	u8 op = v->ref[0];

	if (op == CALL && (!memcmp(v->run, nop5, 5) || !memcmp(v->run, xor5, 5)))
		return true;
	if (op == JMP32 && !memcmp(v->run, ret5, 5))
		return true;
	if (!memcmp(v->run, v->ref, skip)) {
		target = branch_target(v, skip);
		if (func && target == func)
			return true;
		if (op != CALL && (is_return_thunk(target) ||
				   (rs_kernel.static_call_return &&
				    target == rs_kernel.static_call_return)))
			return true;
	}
	return original(m, *at, v, false);
}

static bool trampoline_site(struct rs_match *m, const struct view *v)
{
	unsigned long func = static_call_function(m, v->site->a), target;

	if (memcmp(v->run + 5, trampoline_ud1, sizeof(trampoline_ud1)))
		return false;
	if (!memcmp(v->run, ret5, 5) || !memcmp(v->run, v->ref, 5))
		return true;
	target = branch_target(v, 1);
	return v->run[0] == JMP32 && ((func && target == func) || is_return_thunk(target));
}

/* Written once, at boot, when the variable had the value that it has for good. */
bool rs_match_constant(struct rs_match *m, u32 symbol, void *value, u32 len)
{
	const struct rs_name *name =
		rs_names_get(&m->names, rs_symbol_name(m->image, symbol));

	return name && name->count == 1 &&
	       !copy_from_kernel_nofault(value, (void *)name->address[0], len);
}

static bool runtime_const_site(struct rs_match *m, const struct view *v)
{
	u8 value[sizeof(u64)];

	return rs_match_constant(m, v->site->a, value, v->site->len) &&
	       !memcmp(v->run, value, v->site->len);
}

bool rs_site_match(struct rs_match *m, struct rs_cursor *at, const struct resplice_site *site)
{
	struct view v = {
		.site = site,
		.ref = m->image->bytes + at->section->bytes + site->offset,
		.run = m->run + site->offset,
		.address = at->base + site->offset,
	};

	switch (site->kind) {
	case RESPLICE_SITE_FENTRY:
		return fentry_site(&v);
	case RESPLICE_SITE_RETURN:
		return return_site(&v);
	case RESPLICE_SITE_RETPOLINE:
		return retpoline_site(m, at, &v);
	case RESPLICE_SITE_ALT:
		return alternative_site(m, at, &v);
	case RESPLICE_SITE_PARAVIRT:
		return paravirt_site(m, at, &v);
	case RESPLICE_SITE_SMP_LOCK:
		return v.run[0] == 0xf0 || v.run[0] == 0x3e;
	case RESPLICE_SITE_JUMP_LABEL:
		return jump_label_site(m, &v);
	case RESPLICE_SITE_STATIC_CALL:
		return static_call_site(m, at, &v);
	case RESPLICE_SITE_TRAMPOLINE:
		return trampoline_site(m, &v);
	case RESPLICE_SITE_RUNTIME_CONST:
		return runtime_const_site(m, &v);
	case RESPLICE_SITE_ENDBR:
		return !memcmp(v.run, endbr64, 4) || !memcmp(v.run, sealed, 4);
	default:
		return false;
	}
}
