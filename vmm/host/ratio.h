/* SPDX-License-Identifier: BSD-2-Clause */
/* Ratios by which CPUs multiply a TSC. */
#ifndef PORTOLAN_VMM_HOST_RATIO_H
#define PORTOLAN_VMM_HOST_RATIO_H

#include <stdint.h>

/*
 * Fixed-point ratios, as CPUs multiply a TSC by one: OF / TO with FRACTION bits behind the point
 * (at most 62), to the nearest; 0: no bit of it is set, or it has more than WHOLE bits before the
 * point. TO > 0 and below 2^62; FRACTION + WHOLE <= 64. And bits 0 to 63 of VALUE times such a
 * ratio.
 */
uint64_t ratio_find(uint64_t of, uint64_t to, unsigned fraction, unsigned whole);

static inline uint64_t ratio_times(uint64_t value, uint64_t ratio, unsigned fraction)
{
    return (uint64_t)((unsigned __int128)value * ratio >> fraction);
}

#endif
