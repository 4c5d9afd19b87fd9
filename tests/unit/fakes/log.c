/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/log.h"

#include "vmm/base/log.h"

#include <stdio.h>
#include <string.h>

static char text[1 << 16];
static size_t used;

void fake_log_clear(void)
{
    used = 0;
    text[0] = '\0';
}

bool fake_log_contains(const char *wanted)
{
    return strstr(text, wanted) != NULL;
}

const char *fake_log_text(void)
{
    return text;
}

unsigned fake_log_lines(void)
{
    unsigned count = 0;

    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        count++;
    }
    return count;
}

uint64_t fake_log_now_ns;

uint64_t log_time_ns(void)
{
    return fake_log_now_ns;
}

static void keep(const char *fmt, va_list args)
{
    if (sizeof(text) - used < LOG_LINE_MAX + 2) {
        fake_log_clear(); /* a fuzzer never reads it and must not fill it up */
    }
    int length = vsnprintf(text + used, LOG_LINE_MAX, fmt, args);

    if (length > 0) {
        used += length < LOG_LINE_MAX ? (size_t)length : LOG_LINE_MAX - 1;
    }
    text[used++] = '\n';
    text[used] = '\0';
}

bool (*fake_log_passes)(void);

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list args;

    if (fake_log_passes && !fake_log_passes()) {
        return;
    }
    va_start(args, fmt);
    keep(fmt, args);
    va_end(args);
}

void log_write_always(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    keep(fmt, args);
    va_end(args);
}
