/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This CPU's timer: the local APIC's, one shot at a time, shared by the vCPU that runs here and by
 * the VMM's own periodic work. Its interrupt only wakes; who set it looks at the time.
 */
#ifndef PORTOLAN_VMM_HOST_TIMER_H
#define PORTOLAN_VMM_HOST_TIMER_H

#include "vmm/base/status.h"
#include "vmm/host/percpu.h"

#define TIMER_NEVER UINT64_MAX

/* Find the rate of the local APICs' timers. UNSUPPORTED: there is none that counts. Boot CPU, after
 * time_init() and apic_enable_cpu(). */
enum status timer_init(void);

/* Wake this CPU at DEADLINE (ns of time_now_ns(); TIMER_NEVER), in place of USER's last deadline.
 */
void timer_set(enum timer_user user, uint64_t deadline);

/*
 * The timer's interrupt has come, which wakes those whose deadline has passed. It may have come too
 * early: its rate is measured, not known, and its counter has 32 bits; and it may have been another
 * user's. So it is set again for what is still ahead. Interrupts off, from trap_handle().
 */
void timer_fired(void);

/*
 * Let this CPU call SERVICE from timer_service(), first at once; it returns when it wants to be
 * called next. This CPU only.
 */
void timer_set_service(timer_service_function service);

/* Is it due? To be asked with interrupts off before this CPU sleeps. */
bool timer_service_is_due(void);

/* Call the service if it is due, and not running already. From the loops of this CPU: idle, between
 * two exits, and waits; no lock held. */
void timer_service(void);

/* ---- smp.c: longer waits, which leave the CPU's power to others ---- */

/*
 * Sleep for at least US microseconds; interrupts are handled meanwhile, and this CPU's service is
 * called (vmm/host/timer.h). Any CPU, with interrupts on, after timer_init(); not from an interrupt
 * handler. time_delay_us() is for less than some 100 us.
 */
void wait_us(uint64_t us);

/* Sleep until an interrupt, or not at all if one waits. Interrupts off at the call, on afterwards.
 */
void wait_for_interrupt(void);

/* Pure: ticks of a timer of HZ until DEADLINE at NOW, both ns: at least 1, at most UINT32_MAX. */
uint32_t timer_ticks(uint64_t now, uint64_t deadline, uint64_t hz);

#endif
