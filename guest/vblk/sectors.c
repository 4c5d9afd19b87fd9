/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sectors requests are for, and what is in them. */
#include "guest/vblk/vblk.h"

uint8_t pattern(uint64_t sector, unsigned byte)
{
    return (uint8_t)(sector * 7 + byte * 13UL + (sector >> 8) + 1);
}

uint8_t sectors_byte(uint64_t sector, unsigned k, unsigned shift)
{
    return (uint8_t)(pattern(sector + k / SECTOR, k % SECTOR) + shift);
}

uint64_t sectors_turned(uint64_t sector, uint16_t number)
{
    uint64_t size = sector < WRITTEN_FIRST ? WRITTEN_FIRST : WRITTEN_EACH;
    uint64_t offset = sector < WRITTEN_FIRST ? sector : (sector - WRITTEN_FIRST) % WRITTEN_EACH;

    return sector - offset + (offset + number * size / queues / SECTORS * SECTORS) % size;
}
