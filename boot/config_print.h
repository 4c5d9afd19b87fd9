/* SPDX-License-Identifier: BSD-2-Clause */
/* What loaders say about a configuration: the parser's own words, through the loader's log. */
#ifndef PORTOLAN_BOOT_CONFIG_PRINT_H
#define PORTOLAN_BOOT_CONFIG_PRINT_H

#include "vmm/config/config.h"

/* Print that file INDEX of CONFIG is not to be had: WHY, the key that names it, and what to do.
 * *REPORT is overwritten. */
void config_print_file(const struct config *config, uint32_t index, const char *why,
                       struct config_report *report);

#endif
