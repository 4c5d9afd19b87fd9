/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/rtc/cmos.h"

#include "vmm/base/rtc_date.h"
#include "vmm/host/port_io.h"

#include <stdbool.h>
#include <string.h>

#define PORT_INDEX 0x70U
#define PORT_DATA  0x71U
#define REGISTER_A 0x0aU
#define REGISTER_B 0x0bU
#define A_UPDATE   0x80U
#define READS_MAX  100000U /* an update takes 2 ms; a port access about 1 us */
#define TRIES_MAX  10U
#define CENTURY_20 0x20U

static const uint8_t fields[] = {RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_WEEKDAY,
                                 RTC_DAY,    RTC_MONTH,  RTC_YEAR};

static uint8_t read_register(uint8_t index)
{
    port_write(PORT_INDEX, 1, index);
    return (uint8_t)port_read(PORT_DATA, 1);
}

static bool wait_for_end_of_update(void)
{
    for (unsigned i = 0; i < READS_MAX; i++) {
        if (!(read_register(REGISTER_A) & A_UPDATE)) {
            return true;
        }
    }
    return false;
}

static void read_date(uint8_t *ram)
{
    for (unsigned i = 0; i < sizeof(fields); i++) {
        ram[fields[i]] = read_register(fields[i]);
    }
}

/* Twice the same: no update came in between. */
int64_t cmos_read_seconds(void)
{
    uint8_t first[RTC_CENTURY + 1] = {0}, second[RTC_CENTURY + 1] = {0};
    uint8_t format = read_register(REGISTER_B);

    /* Where the century is kept differs from board to board; these machines are of this one. */
    first[RTC_CENTURY] = second[RTC_CENTURY] =
        format & RTC_FORMAT_BINARY ? 20 : (uint8_t)CENTURY_20;
    for (unsigned i = 0; i < TRIES_MAX && wait_for_end_of_update(); i++) {
        read_date(first);
        read_date(second);
        if (memcmp(first, second, sizeof(first)) == 0) {
            return rtc_date_load(first, format);
        }
    }
    return 0;
}
