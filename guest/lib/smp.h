/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other CPUs of a test guest. */
#ifndef PORTOLAN_GUEST_LIB_SMP_H
#define PORTOLAN_GUEST_LIB_SMP_H

#include "guest/lib/guest.h"

#define SMP_CPUS_MAX 16

/* The number of CPUs that fw_cfg says the machine has; 1 without fw_cfg. */
unsigned smp_cpu_count(void);

/*
 * Start the CPU with APIC id INDEX (1..) and let it run FUNCTION(INDEX) in 64-bit mode with its own
 * stack, GDT, TSS and local APIC; when FUNCTION returns it sleeps with interrupts off. False if it
 * does not come up within a second of the guest's time.
 */
bool smp_start(unsigned index, void (*function)(unsigned index));

/* Has the CPU's FUNCTION returned? */
bool smp_finished(unsigned index);

/* The APIC id of this CPU as the start gave it; 0 on the boot CPU. */
unsigned smp_index(void);

#endif
