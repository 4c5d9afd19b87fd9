/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the boot, for main.c. */
#ifndef PORTOLAN_VMM_MAIN_H
#define PORTOLAN_VMM_MAIN_H

#include "boot/handoff.h"
#include "vmm/report/report.h"

/* ---- main_config.c: read the configuration, apply [vmm], check it against the machine ---- */

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

/* ---- main_vms.c: the VMs, and what CPU 0 does for all of them afterwards ---- */

/* Make the configuration's VMs. Boot CPU, once, after main_check_machine() has agreed. */
void main_create_vms(void);

/*
 * CPU 0, for ever: start the VMs that are to start by themselves, serve the console, and call
 * FINISH whenever no VM runs (any more).
 */
void main_serve(void (*finish)(void)) __attribute__((noreturn));

#endif
