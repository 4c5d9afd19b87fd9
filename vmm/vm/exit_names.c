/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/exit.h"

static const char *const names[] = {
    [EXIT_INTERRUPT] = "interrupt",
    [EXIT_WINDOW] = "window",
    [EXIT_NMI_WINDOW] = "nmi window",
    [EXIT_RETRY] = "retry",
    [EXIT_IO] = "port",
    [EXIT_STRING_IO] = "string port",
    [EXIT_MEMORY] = "memory",
    [EXIT_HLT] = "hlt",
    [EXIT_CPUID] = "cpuid",
    [EXIT_MSR_READ] = "msr read",
    [EXIT_MSR_WRITE] = "msr write",
    [EXIT_CR_READ] = "cr read",
    [EXIT_CR_WRITE] = "cr write",
    [EXIT_XSETBV] = "xsetbv",
    [EXIT_CACHE] = "cache",
    [EXIT_PAUSE] = "pause",
    [EXIT_EXCEPTION] = "exception",
    [EXIT_REFUSED] = "refused",
    [EXIT_FORBIDDEN] = "forbidden",
    [EXIT_TASK_SWITCH] = "task switch",
    [EXIT_SHUTDOWN] = "triple fault",
    [EXIT_INVALID] = "invalid state",
    [EXIT_NOTIFY] = "notify",
    [EXIT_UNKNOWN] = "unknown",
};

_Static_assert(ARRAY_SIZE(names) == EXIT_REASONS, "every reason has a name");

const char *exit_name(enum exit_reason reason)
{
    return reason < EXIT_REASONS ? names[reason] : names[EXIT_UNKNOWN];
}
