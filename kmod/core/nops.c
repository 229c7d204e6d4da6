// SPDX-License-Identifier: GPL-2.0-only
/* The instructions that do nothing, as arch/x86/kernel/alternative.c writes them. */
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/version.h>

#include "match.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define NOP_MAX		8u

static u32 nop_jump_len(const u8 *code, u32 len)
{
	return 0;
}
#else
#define NOP_MAX		11u

/* A jump over breakpoints, which is put where a nop would be too long. */
static u32 nop_jump_len(const u8 *code, u32 len)
{
	u32 n, i;

	if (len <= NOP_MAX || code[0] != 0xeb || code[1] > 0x7f)
		return 0;
	n = code[1] + 2;
	if (n <= NOP_MAX || n > len)
		return 0;
	for (i = 2; i < n; i++)
		if (code[i] != 0xcc)
			return 0;
	return n;
}
#endif

/*
 * The length of the one nop that starts here, in the encodings that the
 * kernel's own x86_nops have (1 to 8 bytes, prefixes for more); 0 if it is none.
 */
static u32 nop_len(const u8 *code, u32 len)
{
	static const u8 prefixes[NOP_MAX - 8 + 1] = {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
		0x66, 0x66, 0x2e
#endif
	};
	static const u8 nops[8][8] = {
		{ 0x90 },
		{ 0x66, 0x90 },
		{ 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
	};
	u32 n, more;

	for (n = min_t(u32, len, 8); n; n--)
		if (!memcmp(code, nops[n - 1], n))
			return n;
	/* Longer ones are the longest behind as many of the prefixes as it takes. */
	for (more = 1; more <= NOP_MAX - 8 && more + 8 <= len; more++)
		if (!memcmp(code, prefixes + NOP_MAX - 8 - more, more) &&
		    !memcmp(code + more, nops[7], 8))
			return more + 8;
	return nop_jump_len(code, len);
}

/* How many of these bytes, from the start, are whole nops. */
u32 rs_nops_len(const u8 *code, u32 len)
{
	u32 done = 0, n;

	while (done < len && (n = nop_len(code + done, len - done)))
		done += n;
	return done;
}
