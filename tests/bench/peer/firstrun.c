/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into QEMU: notes the TSC at which a vCPU is entered for the first time, which is when
 * the guest's reset ends, in the file that FIRST_RUN names, of 8 bytes or more.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

static volatile uint64_t *first;

__attribute__((constructor)) static void prepare(void)
{
    const char *path = getenv("FIRST_RUN");
    int fd = path ? open(path, O_RDWR) : -1;

    if (fd < 0) {
        err(1, "FIRST_RUN");
    }
    first = mmap(NULL, sizeof(*first), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (first == MAP_FAILED) {
        err(1, "mmap");
    }
    *first = 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;

    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (request == KVM_RUN && *first == 0) {
        *first = __rdtsc();
    }
    return (int)syscall(SYS_ioctl, fd, request, argument);
}
