/* SPDX-License-Identifier: BSD-2-Clause */
/* Longer waits, which leave the CPU's power to others. */
#ifndef PORTOLAN_VMM_HOST_WAIT_H
#define PORTOLAN_VMM_HOST_WAIT_H

#include "vmm/base/types.h"

/*
 * Sleep for at least US microseconds; interrupts are handled meanwhile, and this CPU's service is
 * called (vmm/host/timer.h). Any CPU, with interrupts on, after timer_init(); not from an interrupt
 * handler. time_delay_us() is for less than some 100 us.
 */
void wait_us(uint64_t us);

/* Sleep until an interrupt, or not at all if one waits. Interrupts off at the call, on afterwards.
 */
void wait_for_interrupt(void);

#endif
