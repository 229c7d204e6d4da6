/*
 * holder ADDRESS pause | holder ADDRESS read|write FILE [TEXT]: a task that holds an
 * address of kernel code in its own registers while it sleeps, or on its kernel stack
 * while it reads or writes: io_submit() keeps a copy of what it was given there.
 * "held" is said before; a read or write that fails ends it with 1.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void sleep_holding(uint64_t address)
{
	asm volatile("mov %0, %%rbx\n mov %0, %%r12\n mov %0, %%r13\n mov %0, %%r14\n"
		     "mov %0, %%r15\n mov %1, %%eax\n syscall"
		     : : "r"(address), "i"(SYS_pause)
		     : "rax", "rbx", "rcx", "r11", "r12", "r13", "r14", "r15", "memory");
}

static int submit_holding(uint64_t address, int command, int file, char *text)
{
	struct iocb call = {
		.aio_data = address,
		.aio_lio_opcode = command,
		.aio_fildes = file,
		.aio_buf = (uint64_t)(uintptr_t)text,
		.aio_nbytes = strlen(text),
	}, *calls[] = { &call };
	struct io_event done;
	aio_context_t context = 0;

	return syscall(SYS_io_setup, 1, &context) ||
	       syscall(SYS_io_submit, context, 1, calls) != 1 ||
	       syscall(SYS_io_getevents, context, 1, 1, &done, NULL) != 1 ||
	       done.data != address || done.res != (int64_t)call.aio_nbytes;
}

int main(int argc, char **argv)
{
	uint64_t address = argc > 2 ? strtoull(argv[1], NULL, 16) : 0;

	printf("held\n");
	fflush(stdout);
	if (argc == 3 && !strcmp(argv[2], "pause"))
		sleep_holding(address);
	if (argc == 4 && !strcmp(argv[2], "read"))
		return submit_holding(address, IOCB_CMD_PREAD, open(argv[3], O_RDWR), argv[2]);
	if (argc == 5 && !strcmp(argv[2], "write"))
		return submit_holding(address, IOCB_CMD_PWRITE, open(argv[3], O_WRONLY), argv[4]);
	return 2;
}
