/* leaver: a thread uses sendfile() and exits; says "left" once no list has it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BYTES 4096

static long tid;
static int failure;

static void *leave(void *unused)
{
	int in = open("/proc/self/exe", O_RDONLY), out = open("/dev/null", O_WRONLY);

	tid = syscall(SYS_gettid);
	return sendfile(out, in, NULL, BYTES) == BYTES ? unused : &failure;
}

int main(void)
{
	char directory[64];
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, leave, NULL) || pthread_join(thread, &result) ||
	    result) {
		perror("leaver");
		return 1;
	}
	snprintf(directory, sizeof(directory), "/proc/self/task/%ld", tid);
	while (!access(directory, F_OK))
		usleep(1000);
	puts("left");
	return 0;
}
