/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/config_problems.h"

#include "vmm/base/format.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define MESSAGE_MAX 320U
#define QUOTE_MAX   40U

void config_report_init(struct config_report *report, const char *name)
{
    memset(report, 0, sizeof(*report));
    report->name = name;
}

/* A message goes in whole or not at all. */
static void report_append(struct config_report *report, const char *text)
{
    size_t length = strlen(text);

    if (length + 1 > CONFIG_REPORT_SIZE - report->used) {
        report->left_out++;
        return;
    }
    memcpy(&report->text[report->used], text, length + 1);
    report->used += length;
}

static void report_message(struct config_report *report, uint32_t line, const char *kind,
                           const char *fmt, va_list args)
{
    char what[MESSAGE_MAX], text[MESSAGE_MAX + 80];
    char where[16] = "";

    (void)format_args(what, sizeof(what), fmt, args);
    if (line > 0) {
        (void)format(where, sizeof(where), ":%u", line);
    }
    (void)format(text, sizeof(text), "%.48s%s: %s: %s\n", report->name, where, kind, what);
    report_append(report, text);
}

void config_error(struct config_report *report, uint32_t line, const char *fmt, ...)
{
    va_list args;

    report->errors++;
    va_start(args, fmt);
    report_message(report, line, "error", fmt, args);
    va_end(args);
}

void config_warning(struct config_report *report, uint32_t line, const char *fmt, ...)
{
    va_list args;

    report->warnings++;
    va_start(args, fmt);
    report_message(report, line, "warning", fmt, args);
    va_end(args);
}

void config_fix(struct config_report *report, const char *fmt, ...)
{
    char what[MESSAGE_MAX], text[MESSAGE_MAX + 16];
    va_list args;

    va_start(args, fmt);
    (void)format_args(what, sizeof(what), fmt, args);
    va_end(args);
    (void)format(text, sizeof(text), "    fix: %s\n", what);
    report_append(report, text);
}

void config_report_log(const struct config_report *report, enum log_level level, const char *who)
{
    for (const char *line = report->text; *line;) {
        const char *end = strchr(line, '\n');
        int length = end ? (int)(end - line) : (int)strlen(line);

        log_write(level, "%.*s", length, line);
        line += length + (end ? 1 : 0);
    }
    if (report->left_out) {
        log_write(level, "%s: %u more messages", who, report->left_out);
    }
}

struct config_quote config_quote(const char *text, size_t length)
{
    struct config_quote quote;
    size_t kept = length < QUOTE_MAX ? length : QUOTE_MAX;

    for (size_t i = 0; i < kept; i++) {
        bool printable = text[i] >= ' ' && text[i] <= '~';

        quote.text[i] = (char)(printable ? text[i] : '?');
    }
    memcpy(&quote.text[kept], length > kept ? "..." : "", length > kept ? 4 : 1);
    return quote;
}
