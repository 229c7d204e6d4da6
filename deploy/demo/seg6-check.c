// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * seg6-check: does this kernel read past the end of an IPv6 segment routing
 * header (CVE-2026-72400)?
 *
 *   exit 0  fixed       seg6_validate_srh() stays within the buffer
 *   exit 1  vulnerable  it reads fixed fields that lie beyond the length
 *   exit 2  unknown     the check could not be set up; stderr says why
 *
 * How: a BPF program hands bpf_lwt_push_encap() a header of one byte. The
 * buffer is a BPF map value with room to spare, so that the stray reads hit
 * memory of our own and harm nothing. The CPU's debug registers watch the
 * bytes behind the first one and count who touches them. The header has a
 * page to itself: QEMU 7.2 takes an unaligned store anywhere on a watched page
 * for one to all of the page before it.
 *
 * "fixed" must not come from a silent watchpoint or from a helper that was
 * never reached, so both are proved first: a BPF program that reads the bytes
 * itself, and a call with a length that covers them.
 *
 * Needs root. Build: gcc-12 -static -O2 -Wall -Wextra -o seg6-check seg6-check.c
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

enum { EXIT_FIXED = 0, EXIT_VULNERABLE = 1, EXIT_UNKNOWN = 2 };

#define HEADER_LEN	1	/* what the kernel is told */
#define FIXED_LEN	8	/* sizeof(struct ipv6_sr_hdr) without segments */
#define SRH_TYPE	2	/* offset of the field that is read first */
#define SRCRT_TYPE_4	4	/* the value that makes validation go on */
#define PAGE_LEN	4096
#define HEADER_AT	PAGE_LEN
#define VALUE_LEN	(HEADER_AT + PAGE_LEN)	/* wherever in a page it begins */
#define VALUE_SELF	32	/* where the "learn" program leaves the address */

/* The four debug registers cover every byte from 1 to 7. */
static const struct {
	unsigned int offset, len;
} watched[] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 4 } };

#define WATCHES		(sizeof(watched) / sizeof(watched[0]))

static int watch_fd[WATCHES];
static uint64_t watch_count[WATCHES];

static void __attribute__((noreturn, format(printf, 1, 2)))
unknown(const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	fputs("unknown: ", stderr);
	vfprintf(stderr, fmt, args);
	va_end(args);
	if (saved)
		fprintf(stderr, ": %s", strerror(saved));
	fputc('\n', stderr);
	exit(EXIT_UNKNOWN);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off,
			    int32_t imm)
{
	return (struct bpf_insn){ .code = code, .dst_reg = dst, .src_reg = src,
				  .off = off, .imm = imm };
}

/* Two slots: reg = address of the header in the map's only value. */
static size_t load_header(struct bpf_insn *out, uint8_t reg, int map)
{
	out[0] = insn(BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_VALUE, 0, map);
	out[1] = insn(0, 0, 0, 0, HEADER_AT);
	return 2;
}

static int load_program(const char *what, const struct bpf_insn *insns, size_t count)
{
	static char log[16384];
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_LWT_IN;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = count;
	attr.license = (uintptr_t)"Dual MIT/GPL";
	attr.log_buf = (uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		unknown("cannot load the BPF program \"%s\" (run as root)\n%s", what, log);
	return fd;
}

/* Runs a program once on a packet of zeros; returns its r0. */
static int32_t run_program(const char *what, int fd)
{
	static uint8_t packet[128];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = fd;
	attr.test.data_in = (uintptr_t)packet;
	attr.test.data_size_in = sizeof(packet);
	attr.test.repeat = 1;
	if (bpf(BPF_PROG_TEST_RUN, &attr) < 0)
		unknown("cannot run the BPF program \"%s\"", what);
	return (int32_t)attr.test.retval;
}

static int create_map(void)
{
	uint8_t value[VALUE_LEN] = { [HEADER_AT + SRH_TYPE] = SRCRT_TYPE_4 };
	union bpf_attr attr;
	uint32_t key = 0;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(key);
	attr.value_size = sizeof(value);
	attr.max_entries = 1;
	fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		unknown("cannot create a BPF map (run as root)");

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
		unknown("cannot fill the BPF map");
	return fd;
}

/* Root may have a program store a kernel address where userspace can see it. */
static uint64_t learn_address(int map)
{
	struct bpf_insn prog[8];
	uint8_t value[VALUE_LEN];
	union bpf_attr attr;
	uint64_t address;
	uint32_t key = 0;
	size_t n = 0;

	n += load_header(prog + n, BPF_REG_1, map);
	prog[n++] = insn(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, VALUE_SELF, 0);
	prog[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	prog[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	run_program("learn", load_program("learn", prog, n));

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0)
		unknown("cannot read the BPF map");
	memcpy(&address, value + HEADER_AT + VALUE_SELF, sizeof(address));
	errno = 0;
	if ((int64_t)address >= 0)
		unknown("the header's address 0x%llx is not a kernel address",
			(unsigned long long)address);
	return address;
}

static void watch(uint64_t address)
{
	struct perf_event_attr attr;
	size_t i;

	for (i = 0; i < WATCHES; i++) {
		memset(&attr, 0, sizeof(attr));
		attr.size = sizeof(attr);
		attr.type = PERF_TYPE_BREAKPOINT;
		attr.bp_type = HW_BREAKPOINT_RW;
		attr.bp_addr = address + watched[i].offset;
		attr.bp_len = watched[i].len;
		attr.pinned = 1;
		attr.exclude_user = 1;
		attr.exclude_hv = 1;
		watch_fd[i] = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
				      PERF_FLAG_FD_CLOEXEC);
		if (watch_fd[i] < 0)
			unknown("cannot set a hardware watchpoint on byte %u",
				watched[i].offset);
	}
}

/* Runs a program and leaves in watch_count how often each watch was hit. */
static int32_t run_watched(const char *what, int fd)
{
	int32_t result;
	size_t i;

	for (i = 0; i < WATCHES; i++)
		if (ioctl(watch_fd[i], PERF_EVENT_IOC_RESET, 0) < 0)
			unknown("cannot reset a watchpoint");
	result = run_program(what, fd);
	for (i = 0; i < WATCHES; i++)
		if (read(watch_fd[i], &watch_count[i], sizeof(watch_count[i])) !=
		    (ssize_t)sizeof(watch_count[i]))
			unknown("cannot read the watchpoint on byte %u",
				watched[i].offset);
	errno = 0;
	return result;
}

static unsigned int bytes_touched(void)
{
	unsigned int bytes = 0;
	size_t i;

	for (i = 0; i < WATCHES; i++)
		if (watch_count[i])
			bytes += watched[i].len;
	return bytes;
}

/* Every watch fires on a known read, and none fires on a read of byte 0. */
static void prove_watches(int map)
{
	struct bpf_insn prog[12];
	size_t i, n = 0;

	n += load_header(prog + n, BPF_REG_1, map);
	prog[n++] = insn(BPF_LDX | BPF_MEM | BPF_B, BPF_REG_0, BPF_REG_1, 0, 0);
	prog[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	run_watched("read byte 0", load_program("read byte 0", prog, n));
	if (bytes_touched())
		unknown("a watchpoint fired on a read that it does not cover");

	n = load_header(prog, BPF_REG_1, map);
	for (i = 0; i < WATCHES; i++)
		prog[n++] = insn(BPF_LDX | BPF_MEM | (watched[i].len == 4 ? BPF_W : BPF_B),
				 BPF_REG_0, BPF_REG_1, watched[i].offset, 0);
	prog[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	run_watched("read all", load_program("read all", prog, n));
	if (bytes_touched() != FIXED_LEN - HEADER_LEN)
		unknown("hardware watchpoints do not work here: %u of %d bytes seen",
			bytes_touched(), FIXED_LEN - HEADER_LEN);
}

/* bpf_lwt_push_encap(skb, SEG6, value, len); r1 already holds the skb. */
static void push_encap(const char *what, int map, int len)
{
	struct bpf_insn prog[12];
	int32_t result;
	size_t n = 0;

	prog[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, BPF_LWT_ENCAP_SEG6);
	n += load_header(prog + n, BPF_REG_3, map);
	prog[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, len);
	prog[n++] = insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_lwt_push_encap);
	prog[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	result = run_watched(what, load_program(what, prog, n));
	if (result != -EINVAL)
		unknown("the header of %d byte(s) was not refused: result %d", len, result);
}

int main(void)
{
	unsigned int beyond;
	int map;

	map = create_map();
	watch(learn_address(map));
	prove_watches(map);

	/* A header of eight bytes holds no segment: it is read and refused. */
	push_encap("whole header", map, FIXED_LEN);
	if (!bytes_touched())
		unknown("the kernel never looked at a complete header (CONFIG_IPV6_SEG6_BPF off?)");

	push_encap("short header", map, HEADER_LEN);
	beyond = bytes_touched();
	if (beyond) {
		printf("vulnerable: seg6_validate_srh() read %u byte(s) beyond a %d-byte header\n",
		       beyond, HEADER_LEN);
		return EXIT_VULNERABLE;
	}
	printf("fixed: seg6_validate_srh() read nothing beyond a %d-byte header\n", HEADER_LEN);
	return EXIT_FIXED;
}
