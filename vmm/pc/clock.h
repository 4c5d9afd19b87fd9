/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exact conversion between a VM's virtual time and the clocks of its devices.
 *
 * Virtual time is nanoseconds since the VM was created, below 2^62, never going backwards. A
 * device's tick number is always computed from it in one step, so that no rounding error
 * accumulates.
 */
#ifndef PORTOLAN_VMM_PC_CLOCK_H
#define PORTOLAN_VMM_PC_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER    UINT64_MAX
#define CLOCK_LAST     ((1ULL << 62) - 1) /* the greatest virtual time, also in ticks */
#define CLOCK_NS_PER_S 1000000000ULL

/* The crystal of every PC: the ACPI PM timer counts at this rate, the 8254 at a third of it. */
#define CLOCK_PM_HZ 3579545ULL

/*
 * The shortest period at which a periodic timer makes the VMM act. Shorter ones keep their phase
 * and their count, but several of their expiries make one interrupt.
 */
#define CLOCK_PERIOD_MIN_NS 50000ULL

/* floor(value * multiplier / divisor), divisor > 0; UINT64_MAX when that needs more than 64 bits.
 */
static inline uint64_t clock_scale(uint64_t value, uint64_t multiplier, uint64_t divisor)
{
    unsigned __int128 product = (unsigned __int128)value * multiplier;
    uint64_t high = (uint64_t)(product >> 64);
    uint64_t quotient;
    uint64_t rest;

    if (high >= divisor) {
        return UINT64_MAX;
    }
    /* The compiler would call a library function for a 128-bit division. */
    __asm__("divq %4"
            : "=a"(quotient), "=d"(rest)
            : "a"((uint64_t)product), "d"(high), "rm"(divisor)
            : "cc");
    return quotient;
}

/* The same, rounded up. */
static inline uint64_t clock_scale_up(uint64_t value, uint64_t multiplier, uint64_t divisor)
{
    uint64_t down = clock_scale(value, multiplier, divisor);

    if (down == UINT64_MAX ||
        down * divisor == value * multiplier) { /* equal modulo 2^64 suffices */
        return down;
    }
    return down + 1;
}

/* The number of ticks of a clock of HZ / HZ_DIVISOR hertz at virtual time NOW. */
static inline uint64_t clock_ticks(uint64_t now, uint64_t hz, uint64_t hz_divisor)
{
    return clock_scale(now, hz, hz_divisor * CLOCK_NS_PER_S);
}

/* The first nanosecond at which clock_ticks() is at least TICKS; CLOCK_NEVER beyond 64 bits. */
static inline uint64_t clock_time_of_tick(uint64_t ticks, uint64_t hz, uint64_t hz_divisor)
{
    return clock_scale_up(ticks, hz_divisor * CLOCK_NS_PER_S, hz);
}

static inline uint64_t clock_earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
