/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's part in the boot: read it, apply [vmm], check it against the machine. */
#ifndef PORTOLAN_VMM_MAIN_CONFIG_H
#define PORTOLAN_VMM_MAIN_CONFIG_H

#include "boot/handoff.h"
#include "vmm/config/config.h"
#include "vmm/report/facts.h"

/*
 * Read module 0 of HANDOFF and apply what [vmm] says on log, serial line and panic. What is wrong
 * in it is logged, and then its VMs are not to be started; the [vmm] part that is returned is sound
 * in any case. Boot CPU, once.
 */
const struct config_vmm *main_configure(const struct handoff *handoff);

/* The configuration, sound or not: for what main_check_machine() has let pass. */
const struct config *main_config(void);

/*
 * Check the configuration against the machine and log what does not fit. INVALID: no VM may be
 * started. After main_configure() and the report's facts.
 */
enum status main_check_machine(const struct platform_facts *facts);

#endif
