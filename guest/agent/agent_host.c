/* SPDX-License-Identifier: BSD-2-Clause */
/* Time and messages, and what the VMM's own sources ask of a process: format() and the log. */
#include "guest/agent/agent.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"

#include <stdio.h>
#include <time.h>

void agent_say(const char *text, ...)
{
    char line[1024];
    va_list args;

    va_start(args, text);
    (void)vsnprintf(line, sizeof(line), text, args);
    va_end(args);
    (void)fprintf(stderr, "portolan-agent: %s\n", line);
}

uint64_t agent_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
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

void log_write(enum log_level level, const char *fmt, ...)
{
    (void)level; /* what vmm/migrate notes comes back as a status, with a text */
    (void)fmt;
}
