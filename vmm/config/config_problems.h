/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages about a configuration: collected, so that all of them are seen at once. */
#ifndef PORTOLAN_VMM_CONFIG_CONFIG_PROBLEMS_H
#define PORTOLAN_VMM_CONFIG_CONFIG_PROBLEMS_H

#include "vmm/base/log.h"
#include "vmm/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define CONFIG_REPORT_SIZE 8192U

struct config_report {
    const char *name; /* of the file */
    uint32_t errors;
    uint32_t warnings;
    uint32_t left_out; /* messages for which there was no room */
    size_t used;
    char text[CONFIG_REPORT_SIZE]; /* lines, each ended by a newline; NUL-terminated */
};

void config_report_init(struct config_report *report, const char *name);

/*
 * Add 'NAME:LINE: error: WHAT' (without ':LINE' for LINE 0) and, on a line of its own, '    fix:
 * FIX'. WHAT and FIX are what the next two calls format: begin, then fix.
 */
void config_error(struct config_report *report, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void config_warning(struct config_report *report, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void config_fix(struct config_report *report, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Log the messages, each line as one of the log's; WHO says how many there was no room for. */
void config_report_log(const struct config_report *report, enum log_level level, const char *who);

/* Text from the file as it may be printed: what is not printable ASCII becomes '?'; cut after 40
 * characters. */
struct config_quote {
    char text[44];
};
struct config_quote config_quote(const char *text, size_t length);

#endif
