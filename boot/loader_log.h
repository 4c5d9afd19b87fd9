/* SPDX-License-Identifier: BSD-2-Clause */
/* log_write() for loaders: a line goes to the loader's console, and to a copy for the core's log.
 */
#ifndef PORTOLAN_BOOT_LOADER_LOG_H
#define PORTOLAN_BOOT_LOADER_LOG_H

#include <stdint.h>

/* The copy, *LENGTH bytes of it. */
const char *loader_log(uint64_t *length);

/* Implemented by each loader: show LINE, which has no newline. */
void console_line(const char *line);

#endif
