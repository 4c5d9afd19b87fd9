/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/format.h"

#include <stdio.h>

int format_args(char *buffer, size_t size, const char *fmt, va_list args)
{
    return vsniprintf(buffer, size, fmt, args);
}

int format(char *buffer, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int length = format_args(buffer, size, fmt, args);
    va_end(args);
    return length;
}
