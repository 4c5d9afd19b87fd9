/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/guest_log.h"

#include "vmm/base/format.h"

#define COMPLAINT_MAX 160U

void guest_log(struct guest_log *log, enum log_level level, const char *fmt, ...)
{
    uint64_t before = __atomic_fetch_add(&log->lines, 1, __ATOMIC_RELAXED);
    char text[COMPLAINT_MAX];
    va_list arguments;

    if (before >= GUEST_LOG_BURST) {
        return;
    }
    va_start(arguments, fmt);
    (void)format_args(text, sizeof(text), fmt, arguments);
    va_end(arguments);
    log_write(level, "VM '%s': %s%s", log->vm, text,
              before + 1 == GUEST_LOG_BURST ? "; more of its kind are only counted" : "");
}
