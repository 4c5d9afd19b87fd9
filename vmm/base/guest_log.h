/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest did wrong, in the log: the first messages of a VM, then only counted. */
#ifndef PORTOLAN_VMM_BASE_GUEST_LOG_H
#define PORTOLAN_VMM_BASE_GUEST_LOG_H

#include "vmm/base/log.h"

#include <stdint.h>

#define GUEST_LOG_BURST 16U

struct guest_log {
    const char *vm; /* its name, which must stay */
    uint64_t lines; /* that there were, with those left out; atomic */
};

/* Log a line that begins with the VM's name, unless there were too many. Any CPU. */
void guest_log(struct guest_log *log, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
