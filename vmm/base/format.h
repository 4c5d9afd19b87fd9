/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatting into a fixed buffer: snprintf without floating point and without a heap.
 *
 * On the target this is newlib's integer-only vsniprintf (newlib's full vsnprintf would bring in
 * floating point, which the VMM must not touch); on the host it is the C library's vsnprintf.
 */
#ifndef PORTOLAN_VMM_BASE_FORMAT_H
#define PORTOLAN_VMM_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * As snprintf: writes at most SIZE bytes including the final NUL, returns the length that the
 * whole text has, or a negative number on a malformed format.
 */
int format(char *buffer, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int format_args(char *buffer, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Prints one line somewhere, without a newline at the end of FMT. */
typedef void print_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
