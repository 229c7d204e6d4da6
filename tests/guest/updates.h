/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading, undoing and unloading updates, without a shell in between. */
#ifndef UPDATES_H
#define UPDATES_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "text.h"

#define UPDATES "/sys/kernel/resplice/updates"

struct image {
	const char *name;	/* of the module */
	uint8_t *bytes;
	size_t size;
};

static void image_read(struct image *image, const char *path, const char *name)
{
	struct stat status;
	int file = open(path, O_RDONLY);

	if (file < 0 || fstat(file, &status))
		die(path);
	image->name = name;
	image->size = status.st_size;
	image->bytes = malloc(image->size);
	if (!image->bytes || read(file, image->bytes, image->size) != (ssize_t)image->size)
		die(path);
	close(file);
}

static int load(const struct image *image, const char *parameters)
{
	return syscall(SYS_init_module, image->bytes, image->size, parameters) ? -errno : 0;
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* Some files take a word at a time. */
static int file_write(const char *path, const char *text)
{
	int file = open(path, O_WRONLY), err = 0;
	size_t left = strlen(text);

	if (file < 0)
		return -errno;
	while (left && !err) {
		ssize_t done = write(file, text, left);

		if (done > 0) {
			text += done;
			left -= done;
		} else {
			err = done ? -errno : -EIO;
		}
	}
	close(file);
	return err;
}

static int enable(const char *name, int on)
{
	char path[256];

	snprintf(path, sizeof(path), UPDATES "/%s/enabled", name);
	return file_write(path, on ? "1" : "0");
}

/* The update's state; "" if it is not loaded. */
static const char *state(const char *name)
{
	static char text[64];
	char path[256];
	ssize_t got;
	int file;

	snprintf(path, sizeof(path), UPDATES "/%s/state", name);
	file = open(path, O_RDONLY);
	got = file < 0 ? 0 : read(file, text, sizeof(text) - 1);
	text[got > 0 ? got : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (file >= 0)
		close(file);
	return text;
}

#endif /* UPDATES_H */
