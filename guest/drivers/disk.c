/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte b of sector s is at first 7s + (s >> 8) + 13b + 1. Each style writes a run of sectors of its
 * own, in which the bytes are larger by its number, counted from 1.
 */
#include "guest/drivers/drivers.h"

#include <stdio.h>

#define OWN_FIRST 1024U
#define OWN_EACH  64U /* sectors */

static uint8_t pattern(uint64_t sector, unsigned byte, unsigned shift)
{
    return (uint8_t)(sector * 7 + (sector >> 8) + byte * 13UL + 1 + shift);
}

static uint64_t own_first(const struct driver *driver)
{
    return OWN_FIRST + (uint64_t)driver->index * OWN_EACH;
}

uint64_t disk_place(const struct driver *driver, bool own, unsigned number)
{
    uint64_t at = (uint64_t)number * DISK_SECTORS;

    return own ? own_first(driver) + at % OWN_EACH
               : (driver->index * 13UL + at * 5) % (OWN_FIRST - DISK_SECTORS);
}

void disk_fill(const struct driver *driver, uint64_t sector, uint8_t *data)
{
    for (unsigned i = 0; i < DISK_BYTES; i++) {
        data[i] = pattern(sector + i / DISK_SECTOR, i % DISK_SECTOR, driver->index + 1);
    }
}

bool disk_check(const struct driver *driver, bool own, uint64_t sector, const uint8_t *data)
{
    unsigned shift = own ? driver->index + 1 : 0;

    for (unsigned i = 0; i < DISK_BYTES; i++) {
        uint8_t wanted = pattern(sector + i / DISK_SECTOR, i % DISK_SECTOR, shift);

        if (data[i] != wanted) {
            printf("  byte %lu of sector %lu\n", i % DISK_SECTOR, sector + i / DISK_SECTOR);
            return CHECK_EQUAL(data[i], wanted);
        }
    }
    return CHECK(true);
}

void disk_report(const struct driver *driver)
{
    printf("  sectors %lu to %lu are larger by %u\n", own_first(driver),
           own_first(driver) + OWN_EACH - 1, driver->index + 1);
}
