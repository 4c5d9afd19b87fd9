/* SPDX-License-Identifier: BSD-2-Clause */
/* What vmm/ asks of the machine that it runs on, in a process. */
#include "tools/vfiod/device.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/irq.h"
#include "vmm/host/time.h"

#include <stdio.h>
#include <time.h>

uint64_t irq_save(void)
{
    return 0;
}

void irq_restore(uint64_t flags) {}

uint64_t time_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;

    if (level > LOG_WARN) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    vfiod_say("%s", line);
}

int format_args(char *buffer, size_t size, const char *fmt, va_list args)
{
    return vsnprintf(buffer, size, fmt, args);
}

int format(char *buffer, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int length = format_args(buffer, size, fmt, args);

    va_end(args);
    return length;
}
