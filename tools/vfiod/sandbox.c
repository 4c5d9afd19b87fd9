/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Once the function is open and the socket listens, the daemon opens no files, makes no processes
 * and no sockets, and maps nothing that can be executed; the kernel holds it to that (seccomp).
 */
#include "tools/vfiod/vfiod.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

/* clang-format off */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
    SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(accept4), SCMP_SYS(close),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(fcntl),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatfs), /* of the client's files */
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(futex), SCMP_SYS(clock_gettime),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), /* also abort()'s */
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
    SCMP_SYS(restart_syscall), SCMP_SYS(unlink), SCMP_SYS(exit), SCMP_SYS(exit_group),
};
/* clang-format on */

static int allow_all(scmp_filter_ctx filter)
{
    unsigned count;
    const int *more = vdev_syscalls(&count);
    const unsigned long *request;
    int error = 0;

    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && error == 0; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (unsigned i = 0; i < count && error == 0; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, more[i], 0);
    }
    request = vdev_requests(&count);
    for (unsigned i = 0; i < count && error == 0; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, request[i]));
    }
    for (unsigned i = 0; i < 2 && error == 0; i++) {
        error =
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, i == 0 ? SCMP_SYS(mmap) : SCMP_SYS(mprotect),
                             1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    return error;
}

bool sandbox_enter(enum sandbox sandbox)
{
    scmp_filter_ctx filter;
    int error;

    if (sandbox == SANDBOX_NONE) {
        return true;
    }
    filter = seccomp_init(sandbox == SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG);
    error = filter == NULL ? -ENOMEM : allow_all(filter);
    if (error == 0) {
        error = seccomp_load(filter);
    }
    seccomp_release(filter);
    if (error != 0) {
        vfiod_say("no seccomp filter: %s (--seccomp=none does without)", strerror(-error));
    }
    return error == 0;
}
