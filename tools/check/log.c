/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of portolan-check: what the loaders warn of is kept for the report, the rest goes
 * nowhere. */
#include "tools/check/log.h"

#include "vmm/base/log.h"

#include <stdarg.h>
#include <stdio.h>

static char kept[512];

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list args;

    if (level > LOG_WARN || kept[0] != '\0') {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(kept, sizeof(kept), fmt, args);
    va_end(args);
}

void check_log_clear(void)
{
    kept[0] = '\0';
}

const char *check_log_first(void)
{
    return kept;
}
