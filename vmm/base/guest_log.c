/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/guest_log.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"

#define COMPLAINT_MAX 160U

void guest_complain(struct guest_log *log, const char *fmt, ...)
{
    uint32_t before = __atomic_fetch_add(&log->complaints, 1, __ATOMIC_RELAXED);
    char text[COMPLAINT_MAX];
    va_list arguments;

    if (before >= GUEST_COMPLAINTS_MAX) {
        return;
    }
    va_start(arguments, fmt);
    (void)format_args(text, sizeof(text), fmt, arguments);
    va_end(arguments);
    log_warn("VM '%s': %s%s", log->vm, text,
             before + 1 == GUEST_COMPLAINTS_MAX ? "; more of its kind are only counted" : "");
}
