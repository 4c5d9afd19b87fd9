/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/rtc_date.h"

#define DAY_SECONDS 86400
#define HOUR_PM     0x80U
#define ALARM_ANY   0xc0U
#define YEAR_MAX    9999

static uint8_t encode(uint8_t format, unsigned value)
{
    return (uint8_t)((format & RTC_FORMAT_BINARY) != 0 ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(uint8_t format, uint8_t raw)
{
    return (format & RTC_FORMAT_BINARY) != 0 ? raw : (raw >> 4) * 10U + (raw & 15U);
}

static uint8_t encode_hour(uint8_t format, unsigned hour)
{
    if ((format & RTC_FORMAT_24H) != 0) {
        return encode(format, hour);
    }
    unsigned shown = hour % 12 == 0 ? 12 : hour % 12;
    return (uint8_t)(encode(format, shown) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(uint8_t format, uint8_t raw)
{
    if ((format & RTC_FORMAT_24H) != 0) {
        return decode(format, raw);
    }
    return decode(format, raw & (uint8_t)~HOUR_PM) % 12 + ((raw & HOUR_PM) != 0 ? 12 : 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/*
 * Days since 1970 of a date, counting years from March so that the leap day comes last: a year then
 * has (153 m + 2) / 5 days before its month m, and 400 years have 146097 days.
 */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;

    return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * m + 2) / 5 +
           day - 1 - 719468;
}

struct date {
    int64_t year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
};

static struct date date_from_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;

    return (struct date){
        .year = year_of_era + era * 400 + (m >= 10 ? 1 : 0),
        .month = (unsigned)(m < 10 ? m + 3 : m - 9),
        .day = (unsigned)(day_of_year - (153 * m + 2) / 5 + 1),
    };
}

void rtc_date_store(uint8_t *ram, uint8_t format, int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_SECONDS);
    unsigned time = (unsigned)(seconds - days * DAY_SECONDS);
    struct date date = date_from_days(days);

    ram[RTC_SECOND] = encode(format, time % 60);
    ram[RTC_MINUTE] = encode(format, time / 60 % 60);
    ram[RTC_HOUR] = encode_hour(format, time / 3600);
    ram[RTC_WEEKDAY] = (uint8_t)(days + 4 - floor_div(days + 4, 7) * 7 + 1); /* 1: Sunday */
    ram[RTC_DAY] = encode(format, date.day);
    ram[RTC_MONTH] = encode(format, date.month);
    ram[RTC_YEAR] = encode(format, (unsigned)(date.year % 100));
    ram[RTC_CENTURY] = encode(format, (unsigned)(date.year / 100 % 100));
}

static unsigned between(unsigned value, unsigned low, unsigned high)
{
    return value < low ? low : value > high ? high : value;
}

int64_t rtc_date_load(const uint8_t *ram, uint8_t format)
{
    unsigned century = between(decode(format, ram[RTC_CENTURY]), 0, YEAR_MAX / 100);
    unsigned year = century * 100 + between(decode(format, ram[RTC_YEAR]), 0, 99);
    unsigned month = between(decode(format, ram[RTC_MONTH]), 1, 12);
    unsigned day = between(decode(format, ram[RTC_DAY]), 1, 31);
    int64_t hour = between(decode_hour(format, ram[RTC_HOUR]), 0, 23);
    int64_t minute = between(decode(format, ram[RTC_MINUTE]), 0, 59);
    unsigned second = between(decode(format, ram[RTC_SECOND]), 0, 59);

    return days_from_date(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
}

static bool alarm_field(uint8_t raw, unsigned wanted, unsigned value)
{
    return raw >= ALARM_ANY || wanted == value;
}

bool rtc_date_alarm(const uint8_t *ram, uint8_t format, int64_t seconds)
{
    unsigned time = (unsigned)(seconds - floor_div(seconds, DAY_SECONDS) * DAY_SECONDS);
    uint8_t hour = ram[RTC_HOUR_ALARM];

    return alarm_field(ram[RTC_SECOND_ALARM], decode(format, ram[RTC_SECOND_ALARM]), time % 60) &&
           alarm_field(ram[RTC_MINUTE_ALARM], decode(format, ram[RTC_MINUTE_ALARM]),
                       time / 60 % 60) &&
           alarm_field(hour, decode_hour(format, hour), time / 3600);
}
