/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of keys into their places in struct config; for parse.c. */
#ifndef PORTOLAN_VMM_CONFIG_STORE_H
#define PORTOLAN_VMM_CONFIG_STORE_H

#include "vmm/config/config_keys.h"
#include "vmm/config/config_problems.h"
#include "vmm/config/value.h"

/* Check VALUE against KEY and store it in SECTION's structure; complain in REPORT about LINE if it
 * is not good. */
void config_store(void *section, const struct config_key *key, struct slice value, uint32_t line,
                  struct config_report *report);

#endif
