/* SPDX-License-Identifier: GPL-2.0-only */
/* A sum over the running kernel's text, as /proc/kcore shows it. */
#ifndef TEXT_H
#define TEXT_H

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t look_up(const char *name)
{
	char line[512], found[256], type;
	unsigned long long address, result = 0;
	FILE *file = fopen("/proc/kallsyms", "r");

	if (!file)
		die("/proc/kallsyms");
	while (!result && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %c %255s", &address, &type, found) == 3 &&
		    !strcmp(found, name))
			result = address;
	fclose(file);
	if (!result) {
		fprintf(stderr, "no address for %s\n", name);
		exit(2);
	}
	return result;
}

/* Looked up once: the file is long. */
static uint64_t symbol(const char *name)
{
	static struct { const char *name; uint64_t address; } known[4];
	int i;

	for (i = 0; i < 3 && known[i].name && strcmp(known[i].name, name);)
		i++;
	if (!known[i].name || strcmp(known[i].name, name)) {
		known[i].name = name;
		known[i].address = look_up(name);
	}
	return known[i].address;
}

/* Where /proc/kcore has these addresses. */
static off_t kcore_offset(int core, uint64_t from, uint64_t end)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	int i;

	if (pread(core, &head, sizeof(head), 0) != sizeof(head))
		die("read /proc/kcore");
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(core, &segment, sizeof(segment),
			  head.e_phoff + i * sizeof(segment)) != sizeof(segment))
			die("read /proc/kcore");
		if (segment.p_type == PT_LOAD && segment.p_vaddr <= from &&
		    segment.p_vaddr + segment.p_memsz >= end)
			return segment.p_offset + (from - segment.p_vaddr);
	}
	fprintf(stderr, "/proc/kcore does not have the kernel's text\n");
	exit(2);
}

/* Carries a sum on over what lies between two symbols. */
static uint64_t range_sum(int core, const char *from, const char *to, uint64_t sum)
{
	uint64_t start = symbol(from), end = symbol(to) & ~7ul, word;
	size_t size = end - start, done = 0;
	off_t offset = kcore_offset(core, start, end);
	uint8_t *bytes = malloc(size);

	if (!bytes)
		die("malloc");
	while (done < size) {
		ssize_t got = pread(core, bytes + done, size - done, offset + done);

		if (got <= 0)
			die("read the kernel's text");
		done += got;
	}
	for (done = 0; done < size; done += sizeof(word)) {
		memcpy(&word, bytes + done, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	free(bytes);
	return sum;
}

static uint64_t text_sum(void)
{
	int core = open("/proc/kcore", O_RDONLY);
	uint64_t sum = 0xcbf29ce484222325u;

	if (core < 0)
		die("/proc/kcore");
	sum = range_sum(core, "_stext", "_etext", sum);
	close(core);
	return sum;
}

#endif /* TEXT_H */
