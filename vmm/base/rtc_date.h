/* SPDX-License-Identifier: BSD-2-Clause */
/* The RTC's date registers and seconds since 1970, proleptic Gregorian calendar, UTC. */
#ifndef PORTOLAN_VMM_BASE_RTC_DATE_H
#define PORTOLAN_VMM_BASE_RTC_DATE_H

#include "vmm/base/types.h"

/* Register numbers; RTC_CENTURY is where IBM and ACPI put it. */
enum {
    RTC_SECOND = 0,
    RTC_SECOND_ALARM = 1,
    RTC_MINUTE = 2,
    RTC_MINUTE_ALARM = 3,
    RTC_HOUR = 4,
    RTC_HOUR_ALARM = 5,
    RTC_WEEKDAY = 6,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_CENTURY = 0x32
};

#define RTC_FORMAT_BINARY 0x04U /* register B, DM */
#define RTC_FORMAT_24H    0x02U /* register B, 24/12 */

/* Fill the date registers of RAM from SECONDS; FORMAT as in register B. Years 0..9999. */
void rtc_date_store(uint8_t *ram, uint8_t format, int64_t seconds);

/* The seconds that the date registers of RAM mean; values out of range are taken as the nearest. */
int64_t rtc_date_load(const uint8_t *ram, uint8_t format);

/* Does the alarm in RAM match SECONDS? C0h..FFh in an alarm register matches everything. */
bool rtc_date_alarm(const uint8_t *ram, uint8_t format, int64_t seconds);

#endif
