/*
 * trampoline on FUNCTION | counts | off: BPF programs at a kernel function's entry and
 * exit, which count; they stay until "off", and "counts" says "ENTRIES EXITS".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOUNT		"/run/trampoline"
#define BTF_FILE	"/sys/kernel/btf/vmlinux"
#define BTF_MAX		(64u << 20)
#define COUNTERS	2

static const char *const links[COUNTERS] = { MOUNT "/entry", MOUNT "/exit" };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* How many bytes follow a type's head. */
static size_t tail_of(const struct btf_type *t)
{
	size_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_ENUM64:
		return n * 3 * sizeof(uint32_t);
	default:
		return 0;
	}
}

/* The type id of a function of the kernel. */
static uint32_t type_id(const char *function)
{
	char *data = malloc(BTF_MAX);
	size_t size = 0;
	ssize_t n;
	int fd = open(BTF_FILE, O_RDONLY);
	const struct btf_header *head;
	const char *strings, *at, *end;
	uint32_t id = 1;

	if (fd < 0 || !data)
		die(BTF_FILE);
	while ((n = read(fd, data + size, BTF_MAX - size)) > 0)
		size += n;
	if (n < 0 || size < sizeof(*head))
		die(BTF_FILE);
	head = (const void *)data;
	at = data + head->hdr_len + head->type_off;
	end = at + head->type_len;
	strings = data + head->hdr_len + head->str_off;
	for (; at < end; id++) {
		const struct btf_type *t = (const void *)at;

		if (BTF_INFO_KIND(t->info) == BTF_KIND_FUNC &&
		    !strcmp(strings + t->name_off, function))
			return id;
		at += sizeof(*t) + tail_of(t);
	}
	fprintf(stderr, "%s is not in %s\n", function, BTF_FILE);
	exit(1);
}

static void pin(int fd, const char *path)
{
	union bpf_attr attr = { .pathname = pointer(path), .bpf_fd = fd };

	if (bpf(BPF_OBJ_PIN, &attr))
		die(path);
}

/* A program that adds one to a counter, at the function's entry or exit. */
static void attach(int map, int counter, uint32_t function)
{
	struct bpf_insn code[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map },
		{ .imm = counter * sizeof(uint64_t) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2, .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static char log[1 << 16];
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.insns = pointer(code), .insn_cnt = sizeof(code) / sizeof(*code),
		.license = pointer("GPL"),
		.log_buf = pointer(log), .log_size = sizeof(log), .log_level = 1,
		.expected_attach_type = counter ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY,
		.attach_btf_id = function,
	};
	union bpf_attr open = { .raw_tracepoint.name = 0 };
	int link;

	open.raw_tracepoint.prog_fd = bpf(BPF_PROG_LOAD, &load);
	if ((int)open.raw_tracepoint.prog_fd < 0) {
		fputs(log, stderr);
		die("BPF_PROG_LOAD");
	}
	link = bpf(BPF_RAW_TRACEPOINT_OPEN, &open);
	if (link < 0)
		die("attach");
	pin(link, links[counter]);
}

static void on(const char *function)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(uint32_t),
		.value_size = COUNTERS * sizeof(uint64_t), .max_entries = 1,
	};
	uint32_t id = type_id(function);
	int map = bpf(BPF_MAP_CREATE, &attr), i;

	if (map < 0)
		die("BPF_MAP_CREATE");
	mkdir(MOUNT, 0700);
	if (mount("bpf", MOUNT, "bpf", 0, NULL))
		die(MOUNT);
	pin(map, MOUNT "/map");
	for (i = 0; i < COUNTERS; i++)
		attach(map, i, id);
}

static void counts(void)
{
	uint64_t value[COUNTERS];
	uint32_t key = 0;
	union bpf_attr get = { .pathname = pointer(MOUNT "/map") };
	union bpf_attr look = { .key = pointer(&key), .value = pointer(value) };

	look.map_fd = bpf(BPF_OBJ_GET, &get);
	if ((int)look.map_fd < 0 || bpf(BPF_MAP_LOOKUP_ELEM, &look))
		die(MOUNT);
	printf("%llu %llu\n", (unsigned long long)value[0], (unsigned long long)value[1]);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 3 && !strcmp(what, "on"))
		on(argv[2]);
	else if (argc == 2 && !strcmp(what, "counts"))
		counts();
	else if (argc == 2 && !strcmp(what, "off"))
		return unlink(links[0]) || unlink(links[1]) || umount(MOUNT);
	else
		return 2;
	return 0;
}
