// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * pipe-check: does this kernel take a pipe size of zero?
 *
 *   exit 0  fixed       fcntl(F_SETPIPE_SZ, 0) is refused with EINVAL
 *   exit 1  vulnerable  it is taken and silently becomes one page
 *   exit 2  unknown     the check could not be made; stderr says why
 *
 * It belongs to a demonstration change, not to a vulnerability; the words are
 * those that every check script uses. Needs no privileges.
 *
 * Build: gcc-12 -static -O2 -Wall -Wextra -o pipe-check pipe-check.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FIXED = 0, EXIT_VULNERABLE = 1, EXIT_UNKNOWN = 2 };

static int unknown(const char *operation)
{
	fprintf(stderr, "unknown: cannot %s: %s\n", operation, strerror(errno));
	return EXIT_UNKNOWN;
}

int main(void)
{
	int ends[2], size;

	if (pipe(ends) < 0)
		return unknown("make a pipe");

	/* A sane size must work, or a refusal of zero would mean nothing. */
	if (fcntl(ends[1], F_SETPIPE_SZ, 8192) != 8192)
		return unknown("set a pipe's size to 8192 bytes");

	size = fcntl(ends[1], F_SETPIPE_SZ, 0);
	if (size >= 0) {
		printf("vulnerable: a pipe size of 0 was taken and became %d bytes\n", size);
		return EXIT_VULNERABLE;
	}
	if (errno != EINVAL)
		return unknown("set a pipe's size to 0 bytes");
	printf("fixed: a pipe size of 0 is refused\n");
	return EXIT_FIXED;
}
