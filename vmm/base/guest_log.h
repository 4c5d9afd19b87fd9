/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest did wrong, in the log: the first messages of a VM, then only counted. */
#ifndef PORTOLAN_VMM_BASE_GUEST_LOG_H
#define PORTOLAN_VMM_BASE_GUEST_LOG_H

#include <stdint.h>

#define GUEST_COMPLAINTS_MAX 16U

struct guest_log {
    const char *vm;      /* its name, which must stay */
    uint32_t complaints; /* atomic */
};

/* Log it, unless the VM has said enough already. Any CPU. */
void guest_complain(struct guest_log *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
