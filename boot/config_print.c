/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config_print.h"

void config_print_file(const struct config *config, uint32_t index, const char *why,
                       struct config_report *report)
{
    config_report_init(report, config->name);
    config_complain_file(config, index, why, report);
    config_report_log(report, LOG_INFO, "portolan");
}
