/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config_print.h"

#include "vmm/base/log.h"

#include <string.h>

void config_print_report(const struct config_report *report)
{
    for (const char *line = report->text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t length = end != NULL ? (size_t)(end - line) : strlen(line);
        log_info("%.*s", (int)length, line);
        line += length + (end != NULL ? 1 : 0);
    }
    if (report->left_out > 0) {
        log_info("portolan: %u more messages", report->left_out);
    }
}

void config_print_file(const struct config *config, uint32_t index, const char *why,
                       struct config_report *report)
{
    config_report_init(report, config->name);
    config_complain_file(config, index, why, report);
    config_print_report(report);
}
