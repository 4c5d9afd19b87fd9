/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's part in the boot: read it, apply [vmm], check it against the machine. */
#ifndef PORTOLAN_VMM_MAIN_CONFIG_H
#define PORTOLAN_VMM_MAIN_CONFIG_H

#include "boot/handoff.h"
#include "vmm/report/facts.h"

#include <stdint.h>

enum main_idle { MAIN_IDLE_HALT, MAIN_IDLE_RESET, MAIN_IDLE_POWEROFF };

struct main_settings {
    enum main_idle idle;
    uint32_t cpus_max;          /* 0: all */
    const char *selftest_fault; /* see vmm/cpu/selftest.h */
};

/*
 * Read module 0 of HANDOFF and apply what [vmm] says on log, serial line and panic. A configuration
 * that does not parse is reported, and leaves the defaults.
 */
const struct main_settings *main_configure(const struct handoff *handoff);

/* Check the configuration against the machine and say what does not fit. False: no VM is to be
 * started. */
bool main_check_machine(const struct platform_facts *facts);

#endif
