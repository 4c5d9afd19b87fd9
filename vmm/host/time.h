/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time by the TSC, calibrated at boot. Before time_init() the clock stands at 0 and delays are
 * rough.
 */
#ifndef PORTOLAN_VMM_HOST_TIME_H
#define PORTOLAN_VMM_HOST_TIME_H

#include "vmm/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct time_facts {
    uint64_t tsc_khz;
    const char *source; /* what the rate was measured against, for people */
    bool invariant;     /* the TSC runs at one rate in all power states (CPUID 80000007h EDX[8]) */
};

/*
 * Find the TSC's rate: from CPUID 15h where it is complete, else against the ACPI PM timer at port
 * PM_TIMER (0: none; 24 or 32 bits wide), else against the PIT. TSC_START is the TSC value that
 * becomes time 0. UNSUPPORTED when no source gives a sane rate; then 1 GHz is assumed. Boot CPU,
 * interrupts off.
 */
enum status time_init(uint16_t pm_timer, uint64_t tsc_start);

const struct time_facts *time_facts(void);

/* Nanoseconds since the boot loader was entered; never runs backwards on one CPU. Any CPU. */
uint64_t time_now_ns(void);

/* The TSC value at NS nanoseconds after the boot loader's entry; and the time at which it is TSC.
 */
uint64_t time_ns_to_tsc(uint64_t ns);
uint64_t time_tsc_to_ns(uint64_t tsc);

/* Spin for at least US microseconds. Any CPU. */
void time_delay_us(uint64_t us);

/*
 * Pure arithmetic, for tests: the TSC rate in kHz from TICKS of a timer of HZ during TSC_DELTA;
 * 0 when TICKS is 0 or the result is not between 100 MHz and 100 GHz.
 */
uint64_t time_rate_khz(uint64_t tsc_delta, uint64_t ticks, uint64_t hz);

/* VALUE * MULTIPLIER / DIVISOR without overflow in the middle; DIVISOR > 0. */
uint64_t time_scale(uint64_t value, uint64_t multiplier, uint64_t divisor);

#endif
