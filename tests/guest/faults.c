// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults CORE.ko UPDATE.ko NAME [OLDER.ko NAME]: every step that can fail does,
 * one after the other, while the core is loaded and while the update is loaded
 * and undone. After each, the kernel's text must be what it was
 * before that step, or what success makes of it. With an older update, which is
 * applied beforehand, the update is one that supersedes it.
 */
#include "updates.h"

#define FAULT "/sys/module/resplice/parameters/fault_at"
#define MOST 20000

static struct image core, update, older;
static uint64_t shipped, begun, applied;

static void fault_at(int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	if (file_write(FAULT, text))
		die(FAULT);
}

static int fault_has_come(void)
{
	char text[16] = "";
	int file = open(FAULT, O_RDONLY);

	if (file < 0 || read(file, text, sizeof(text) - 1) <= 0)
		die(FAULT);
	close(file);
	return !atoi(text);
}

static void must(int holds, const char *what, int number, int err)
{
	if (holds)
		return;
	fprintf(stderr, "fault %d, error %d: %s; state `%s`\n", number, err, what,
		state(update.name));
	exit(1);
}

/* As before the first step, without faults. */
static void restore(int number)
{
	int err = 0;

	if (!strcmp(state(update.name), "applied"))
		err = enable(update.name, 0);
	must(!err, "it can't be undone any more", number, err);
	if (*state(update.name))
		err = unload(update.name);
	must(!err, "it can't be unloaded any more", number, err);
	if (!older.name || !strcmp(state(older.name), "applied"))
		return;
	must(text_sum() == shipped, "undoing does not lead to the shipped text", number, 0);
	if (*state(older.name))
		err = unload(older.name);
	err = err ? err : load(&older, "");
	must(!err, "the older one can't be applied any more", number, err);
}

static int load_core(void)
{
	char parameters[32];
	int number, err;

	for (number = 1; number < MOST; number++) {
		snprintf(parameters, sizeof(parameters), "fault_at=%d", number);
		err = load(&core, parameters);
		must(!err || access("/sys/kernel/resplice", F_OK), "the core left files", number, err);
		if (!err && !fault_has_come())
			break;
		if (!err)
			err = unload("resplice");
		else
			err = 0;
		must(!err, "the core can't be unloaded", number, err);
		must(text_sum() == shipped, "the text is another", number, err);
	}
	fault_at(0);
	return number - 1;
}

/* Loads the update until nothing fails any more; leaves it applied. */
static int load_update(void)
{
	int number, err, came;

	for (number = 1; number < MOST; number++) {
		fault_at(number);
		err = load(&update, "");
		came = fault_has_come();
		fault_at(0);
		must(!err == !strcmp(state(update.name), "applied"), "neither in nor out", number, err);
		must(text_sum() == (err ? begun : applied), "the text is another", number, err);
		must(!err || came, "it failed by itself", number, err);
		if (!came)
			return number - 1;
		restore(number);
		must(text_sum() == begun, "the way back leads elsewhere", number, 0);
	}
	return -1;
}

/* Undoes it until nothing fails any more. */
static int undo_update(void)
{
	int number, err, came;

	for (number = 1; number < MOST; number++) {
		fault_at(number);
		err = enable(update.name, 0);
		came = fault_has_come();
		fault_at(0);
		must(text_sum() == (err ? applied : shipped), "the text is another", number, err);
		must(!err || came, "it failed by itself", number, err);
		must(!err == !strcmp(state(update.name), "undone"), "its state is wrong", number,
		     err);
		if (!came)
			return number - 1;
		if (err)
			continue;
		restore(number);
		err = load(&update, "");
		must(!err, "it can't be applied again", number, err);
	}
	return -1;
}

int main(int argc, char **argv)
{
	int in, out = 0, err;

	if (argc != 4 && argc != 6)
		return 2;
	image_read(&core, argv[1], "resplice");
	image_read(&update, argv[2], argv[3]);
	if (argc == 6)
		image_read(&older, argv[4], argv[5]);
	shipped = text_sum();
	printf("core %d", load_core());
	must(text_sum() == shipped, "the core changes text", 0, 0);
	restore(0);
	begun = text_sum();
	err = load(&update, "");
	must(!err, "it can't be applied at all", 0, err);
	applied = text_sum();
	must(applied != begun, "it changes nothing", 0, 0);
	restore(0);
	must(text_sum() == begun, "undoing leads elsewhere", 0, 0);
	in = load_update();
	if (in >= 0)
		out = undo_update();
	restore(0);
	printf(" load %d undo %d\n", in, out);
	return in > 0 && out > 0 ? 0 : 1;
}
