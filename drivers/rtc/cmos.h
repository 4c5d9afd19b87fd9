/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's MC146818 real-time clock, read only. Motorola MC146818A data sheet. */
#ifndef PORTOLAN_DRIVERS_RTC_CMOS_H
#define PORTOLAN_DRIVERS_RTC_CMOS_H

#include <stdint.h>

/*
 * Seconds since 1970 by the clock, which is taken to be UTC; bounded. Where there is none, or one
 * that never settles, 0. One CPU at a time.
 */
int64_t cmos_read_seconds(void);

#endif
