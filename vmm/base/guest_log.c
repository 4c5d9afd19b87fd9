/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/guest_log.h"

#include "vmm/base/format.h"

bool guest_log_pass(struct guest_log *log, uint64_t now_ns, uint64_t *dropped)
{
    uint64_t full_at = __atomic_load_n(&log->full_at_ns, __ATOMIC_RELAXED), next;
    uint64_t times = log->times > 0 ? log->times : 1, each_ns = GUEST_LOG_EACH_NS / times;

    __atomic_fetch_add(&log->lines, 1, __ATOMIC_RELAXED);
    do {
        if (full_at > now_ns + (GUEST_LOG_BURST * times - 1) * each_ns) {
            __atomic_fetch_add(&log->dropped, 1, __ATOMIC_RELAXED);
            __atomic_fetch_add(&log->left_out, 1, __ATOMIC_RELAXED);
            return false;
        }
        next = (full_at > now_ns ? full_at : now_ns) + each_ns;
    } while (!__atomic_compare_exchange_n(&log->full_at_ns, &full_at, next, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    *dropped = __atomic_exchange_n(&log->dropped, 0, __ATOMIC_RELAXED);
    return true;
}

static bool begin(struct guest_log *log, enum log_level level)
{
    uint64_t dropped = 0;

    if (!guest_log_pass(log, log_time_ns(), &dropped)) {
        return false;
    }
    if (dropped > 0) {
        log_write_always(level, "VM '%s': %lu lines about it were left out", log->vm, dropped);
    }
    return true;
}

void guest_log_plain(struct guest_log *log, enum log_level level, const char *fmt, va_list args)
{
    char text[LOG_LINE_MAX];

    if (begin(log, level)) {
        (void)format_args(text, sizeof(text), fmt, args);
        log_write_always(level, "%s", text);
    }
}

void guest_log(struct guest_log *log, enum log_level level, const char *fmt, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    if (begin(log, level)) {
        va_start(args, fmt);
        (void)format_args(text, sizeof(text), fmt, args);
        va_end(args);
        log_write_always(level, "VM '%s': %s", log->vm, text);
    }
}

void guest_log_refill(struct guest_log *log)
{
    __atomic_store_n(&log->full_at_ns, 0, __ATOMIC_RELAXED);
}
