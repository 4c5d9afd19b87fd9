/* SPDX-License-Identifier: BSD-2-Clause */
/* Deliberate faults of the VMM, to see that its dump is good ('selftest_fault' in
 * docs/configuration.md). */
#ifndef PORTOLAN_VMM_HOST_SELFTEST_H
#define PORTOLAN_VMM_HOST_SELFTEST_H

#include "vmm/config/config.h"

#include <stdbool.h>

/* Commit FAULT; only CONFIG_FAULT_NONE returns. */
void selftest_fault(enum config_fault fault);

/* Shall the panic under way fault in its first step? */
bool selftest_panic_in_panic(void);

#endif
