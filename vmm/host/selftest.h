/* SPDX-License-Identifier: BSD-2-Clause */
/* Deliberate faults of the VMM, to see that its dump is good ('selftest_fault' in
 * docs/configuration.md). */
#ifndef PORTOLAN_VMM_HOST_SELFTEST_H
#define PORTOLAN_VMM_HOST_SELFTEST_H

#include <stdbool.h>

/* Numbered as the words of 'selftest_fault' in vmm/config/config_keys.c. */
enum selftest_fault {
    SELFTEST_NONE,
    SELFTEST_NULL_READ,
    SELFTEST_WRITE_TEXT,
    SELFTEST_EXEC_DATA,
    SELFTEST_STACK_OVERFLOW,
    SELFTEST_STACK_SMASH,
    SELFTEST_DIVIDE,
    SELFTEST_PANIC,
    SELFTEST_PANIC_IN_PANIC,
};

/* Commit FAULT; only SELFTEST_NONE returns. */
void selftest_fault(enum selftest_fault fault);

/* Shall the panic under way fault in its first step? */
bool selftest_panic_in_panic(void);

#endif
