/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * torture UPDATE.ko ID OTHER.ko CYCLES [trace]: applies and undoes an update so
 * many times while the rest of the machine is at work in the functions that it
 * replaces, modules come and go and a CPU is unplugged. With "trace" tracers and
 * probes on these functions are switched as well. 0 cycles are a minute of all
 * that without an update.
 *
 * Those that work check each answer. The update makes /proc/loadavg end in
 * " live"; each line of it must be wholly the old one or the new one, and the
 * right one between two steps. The kernel's text must in the end be what it was.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "updates.h"

#define TRACING "/sys/kernel/tracing"
/* A busy update is tried again so often, after so many microseconds. */
#define TRIES 400
#define PAUSE 2000
/* How long it goes on without an update, in seconds. */
#define ALONE 60

enum { TALK, WAKE, PATH, READ, TRACE, PROBE, MODULE, CPU, KINDS };

static const char *const kinds[KINDS] = {
	"messages", "wake-ups", "paths", "reads", "tracers", "probes", "modules", "CPUs",
};

static struct shared {
	volatile int stop;
	volatile unsigned long done[KINDS], wrong[KINDS];
} *shared;

static struct image update, other;
static int tracing;

static void report(int kind, int right, const char *what)
{
	__atomic_fetch_add(&shared->done[kind], 1, __ATOMIC_RELAXED);
	if (right)
		return;
	__atomic_fetch_add(&shared->wrong[kind], 1, __ATOMIC_RELAXED);
	fprintf(stderr, "wrong: %s: %s\n", kinds[kind], what);
}

/* Messages of changing length and contents over a pair of sockets. */
static void talk(int number)
{
	unsigned char out[4096], in[4096];
	unsigned int round = number;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair");
	if (!fork()) {
		ssize_t got;

		close(ends[0]);
		while ((got = read(ends[1], in, sizeof(in))) > 0)
			if (write(ends[1], in, got) != got)
				break;
		_exit(0);
	}
	close(ends[1]);
	while (!shared->stop) {
		size_t size = 1 + (round * 97) % sizeof(out), have = 0;

		memset(out, round++, size);
		if (write(ends[0], out, size) != (ssize_t)size)
			die("write a message");
		while (have < size) {
			ssize_t got = read(ends[0], in + have, size - have);

			if (got <= 0)
				die("read a message");
			have += got;
		}
		report(TALK, !memcmp(in, out, size), "another message came back");
	}
}

/* A token through two pipes: a wake-up each way. */
static void wake(int number)
{
	int there[2], back[2];
	char token = number;

	if (pipe(there) || pipe(back))
		die("pipe");
	if (!fork()) {
		close(there[1]);
		close(back[0]);
		while (read(there[0], &token, 1) == 1 && write(back[1], &token, 1) == 1)
			token = 0;
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	while (!shared->stop) {
		char sent = ++token;

		token = 0;
		if (write(there[1], &sent, 1) != 1 || read(back[0], &token, 1) != 1)
			die("a pipe");
		report(WAKE, token == sent, "another token came back");
	}
}

/* As a user: what belongs to root is out of reach, and one's own is not. */
static void path(int number)
{
	char own[64];
	int file;

	snprintf(own, sizeof(own), "/tmp/torture-%d", number);
	file = open(own, O_CREAT | O_RDWR, 0600);
	if (file < 0 || fchown(file, 1000, 1000))
		die(own);
	close(file);
	if (setgid(1000) || setuid(1000))
		die("setuid");
	while (!shared->stop) {
		file = open("/tmp/torture-root/of-root", O_RDONLY);
		report(PATH, file < 0 && errno == EACCES, "a file of root's could be opened");
		file = open(own, O_RDWR);
		report(PATH, file >= 0, "one's own file could not be opened");
		if (file >= 0)
			close(file);
	}
}

/* Whether the line is the old one (0) or the new one (1); -1 if it is neither. */
static int loadavg(void)
{
	int file = open("/proc/loadavg", O_RDONLY), numbers, end = 0, pid;
	char line[128] = "";
	ssize_t got;
	unsigned int n;

	got = file < 0 ? -1 : read(file, line, sizeof(line) - 1);
	if (file >= 0)
		close(file);
	if (got <= 0 || line[got - 1] != '\n')
		return -1;
	numbers = sscanf(line, "%u.%u %u.%u %u.%u %u/%u %d%n",
			 &n, &n, &n, &n, &n, &n, &n, &n, &pid, &end);
	if (numbers != 9)
		return -1;
	if (!strcmp(line + end, "\n"))
		return 0;
	return strcmp(line + end, " live\n") ? -1 : 1;
}

static void watch(int number)
{
	(void)number;
	while (!shared->stop)
		report(READ, loadavg() >= 0, "a line that is neither the old nor the new one");
}

static void put(const char *path, const char *text, int kind)
{
	char what[256];
	int err = file_write(path, text);

	snprintf(what, sizeof(what), "%s: %s", path, strerror(-err));
	report(kind, !err, what);
}

static void trace(int number)
{
	static const char *const tracers[] = { "function", "function_graph" };
	unsigned int round = number;

	while (!shared->stop) {
		put(TRACING "/set_ftrace_filter", "generic_permission sock_wfree loadavg_proc_show", TRACE);
		put(TRACING "/current_tracer", tracers[round++ % 2], TRACE);
		usleep(20000);
		put(TRACING "/current_tracer", "nop", TRACE);
		put(TRACING "/set_ftrace_filter", "\n", TRACE);
		usleep(5000);
	}
}

static void probe(int number)
{
	(void)number;
	while (!shared->stop) {
		put(TRACING "/kprobe_events", "p:t/comes generic_permission\nr:t/goes generic_permission\n", PROBE);
		put(TRACING "/events/t/enable", "1", PROBE);
		usleep(20000);
		put(TRACING "/events/t/enable", "0", PROBE);
		put(TRACING "/kprobe_events", "-:t/comes\n-:t/goes\n", PROBE);
		usleep(15000);
	}
}

static void modules(int number)
{
	(void)number;
	while (!shared->stop) {
		report(MODULE, !load(&other, ""), "can't load it");
		usleep(3000);
		report(MODULE, !unload(other.name), "can't unload it");
		usleep(3000);
	}
}

static void unplug(int number)
{
	(void)number;
	while (!shared->stop) {
		put("/sys/devices/system/cpu/cpu1/online", "0", CPU);
		usleep(100000);
		put("/sys/devices/system/cpu/cpu1/online", "1", CPU);
		usleep(400000);
	}
}

static void start(void (*work)(int), int count)
{
	for (int number = 0; number < count; number++) {
		pid_t child = fork();

		if (child < 0)
			die("fork");
		if (!child) {
			work(number);
			_exit(0);
		}
	}
}

static void print(const char *path)
{
	char text[4096];
	int file = open(path, O_RDONLY);
	ssize_t got = file < 0 ? 0 : read(file, text, sizeof(text));

	if (got > 0 && write(2, text, got) != got)
		die("write");
	if (file >= 0)
		close(file);
}

/* Does it until nobody is in the functions any more; how often it was tried. */
static int patiently(const char *name, int comes)
{
	int tries, err = 0;

	for (tries = 1; tries <= TRIES; tries++) {
		err = comes ? load(&update, "") : enable(name, 0);
		if (err != -EBUSY && err != -EAGAIN)
			break;
		usleep(PAUSE);
	}
	if (err) {
		fprintf(stderr, "%s %s: %s\n", comes ? "apply" : "undo", name, strerror(-err));
		print("/sys/kernel/resplice/report");
		return 0;
	}
	return tries;
}

static int cycle(const char *name, unsigned long *tries)
{
	int in = patiently(name, 1), out;

	if (!in)
		return 0;
	if (strcmp(state(name), "applied") || loadavg() != 1) {
		fprintf(stderr, "it says %s, and acts otherwise\n", state(name));
		return 0;
	}
	out = patiently(name, 0);
	if (!out)
		return 0;
	if (loadavg() != 0) {
		fprintf(stderr, "it was undone and acts on\n");
		return 0;
	}
	if (unload(name)) {
		perror("unload the update");
		return 0;
	}
	*tries += in + out;
	return 1;
}

static int finish(unsigned long cycles, unsigned long tries, uint64_t before)
{
	unsigned long wrong = 0;
	uint64_t after;

	shared->stop = 1;
	while (wait(NULL) > 0)
		;
	after = text_sum();
	printf("cycles %lu tries %lu", cycles, tries);
	for (int kind = 0; kind < KINDS; kind++) {
		printf(" %s %lu", kinds[kind], shared->done[kind]);
		wrong += shared->wrong[kind];
		if (!shared->done[kind] && (tracing || (kind != TRACE && kind != PROBE))) {
			printf(" (none!)");
			wrong++;
		}
	}
	printf(" wrong %lu text %s\n", wrong, after == before ? "same" : "CHANGED");
	return wrong || after != before;
}

int main(int argc, char **argv)
{
	unsigned long cycles, wanted, tries = 0;
	uint64_t before;
	int failed;

	if (argc < 5) {
		fprintf(stderr, "usage: torture UPDATE.ko ID OTHER.ko CYCLES [trace]\n");
		return 2;
	}
	wanted = strtoul(argv[4], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	image_read(&update, argv[1], argv[2]);
	image_read(&other, argv[3], "rt_bench");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (mkdir("/tmp/torture-root", 0700) && errno != EEXIST)
		die("/tmp/torture-root");
	before = text_sum();
	start(talk, 3);
	start(wake, 2);
	start(path, 2);
	start(watch, 1);
	tracing = argc == 6;
	start(trace, tracing);
	start(probe, tracing);
	start(modules, 1);
	start(unplug, 1);
	/* It would wait for its turn among them for most of a cycle. */
	if (setpriority(PRIO_PROCESS, 0, -10))
		die("setpriority");
	if (!wanted)
		sleep(ALONE);
	for (cycles = 0; cycles < wanted && cycle(argv[2], &tries); cycles++)
		if (cycles % 100 == 99)
			printf("%lu cycles\n", cycles + 1);
	failed = cycles < wanted;
	return finish(cycles, tries, before) || failed;
}
