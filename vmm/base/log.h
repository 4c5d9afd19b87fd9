/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM's log: one line a call, to the serial line, the frame buffer and a ring in memory.
 *
 * ERROR is for faults of the VMM itself only. What a guest, a device, the firmware or the
 * configuration does wrong is a WARN at most, however bad it is for them.
 */
#ifndef PORTOLAN_VMM_BASE_LOG_H
#define PORTOLAN_VMM_BASE_LOG_H

#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The longest line, with its NUL; longer ones are cut and end in "...". */
#define LOG_LINE_MAX 256

/*
 * Log one line; no newline at the end of FMT. Any CPU, also in a trap handler. On a CPU that acts
 * for a guest it is left out where that guest has caused too many lines: vmm/base/guest_log.h.
 */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* From here on log without a lock: the CPU that holds it may be stopped. For panic(). */
void log_set_emergency(void);

/* Wait until the serial line has sent everything. */
void log_flush(void);
/* The same, whoever this CPU acts for: for what a guest cannot cause twice before an operator acts,
 * and for those who have a limit of their own. */
void log_write_always(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The time that lines begin with, in nanoseconds. */
uint64_t log_time_ns(void);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
