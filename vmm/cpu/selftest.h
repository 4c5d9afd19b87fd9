/* SPDX-License-Identifier: BSD-2-Clause */
/* Deliberate faults of the VMM, to see that its dump is good ('selftest_fault' in
 * docs/configuration.md). */
#ifndef PORTOLAN_VMM_CPU_SELFTEST_H
#define PORTOLAN_VMM_CPU_SELFTEST_H

#include <stdbool.h>

/* Do what NAME asks for: none of them returns, but "" and "none" do; so does a name that is
 * unknown. */
void selftest_fault(const char *name);

/* Shall the panic under way fault in its first step? */
bool selftest_panic_in_panic(void);

#endif
