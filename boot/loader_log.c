/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/loader_log.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"

#include <stddef.h>

#define LOG_SIZE (16UL << 10)

static char kept[LOG_SIZE];
static size_t kept_length;

/* A line that does not fit is shown, and not kept. */
void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    size_t left = LOG_SIZE - kept_length;
    va_list args;

    if (level == LOG_DEBUG) {
        return;
    }
    va_start(args, fmt);
    format_args(line, sizeof(line), fmt, args);
    va_end(args);
    console_line(line);
    int length = format(kept + kept_length, left, "%s\n", line);

    kept_length += length > 0 && (size_t)length < left ? (size_t)length : 0;
}

const char *loader_log(uint64_t *length)
{
    *length = kept_length;
    return kept;
}
