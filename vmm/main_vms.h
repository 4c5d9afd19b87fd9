/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMs' part in the boot, and what CPU 0 does for all of them afterwards. */
#ifndef PORTOLAN_VMM_MAIN_VMS_H
#define PORTOLAN_VMM_MAIN_VMS_H

/* Make the configuration's VMs. Boot CPU, once, after main_check_machine() has agreed. */
void main_create_vms(void);

/*
 * CPU 0, for ever: start the VMs that are to start by themselves, serve the console, and call
 * FINISH whenever no VM runs (any more).
 */
void main_serve(void (*finish)(void)) __attribute__((noreturn));

#endif
