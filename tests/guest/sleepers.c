/* sleepers N: starts N threads that sleep for good, says "ready", and waits. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES 16384

static void *sleep_for_good(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	long wanted = argc == 2 ? strtol(argv[1], NULL, 10) : -1;
	pthread_attr_t attributes;
	pthread_t thread;

	if (wanted < 0) {
		fprintf(stderr, "usage: sleepers N\n");
		return 2;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (long i = 0; i < wanted; i++) {
		int error = pthread_create(&thread, &attributes, sleep_for_good, NULL);

		if (error) {
			fprintf(stderr, "thread %ld of %ld: %s\n", i, wanted, strerror(error));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	sleep_for_good(NULL);
}
