/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where old programs and BIOSes counted too small: a second, large disk is written and read across
 * each of these borders, by CHS as far as that goes and by LBA. It holds zeros before.
 */
#include "guest/bios/bios.h"

#define BEFORE       8U
#define COUNT        17U
#define BORDER_SHIFT 5U

/* As tests/machine/legacy_bios.py knows them, in sectors. */
static const uint32_t borders[] = {
    63,                /* a track */
    255 * 63,          /* a cylinder */
    1024 * 16 * 63,    /* 504 MiB */
    0x400000,          /* 2 GiB */
    0x800000,          /* 4 GiB: 32 bits of bytes */
    1024 * 255 * 63UL, /* 7.8 GiB, the end of CHS */
    0x1000000,         /* 8 GiB: 24 bits of sectors */
    0x10000000,        /* 128 GiB: 28 bits */
};

#define BORDERS (sizeof(borders) / sizeof(borders[0]))

static void check_zeros(void)
{
    for (uint32_t i = 0; i < COUNT * SECTOR_SIZE; i++) {
        check(far_get(BUFFER_SEGMENT, (uint16_t)i) == 0, "a border holds zeros before");
    }
}

/* Written in one way and read in the other. */
static bool cross(uint32_t first, const struct geometry *g)
{
    bool by_chs = first + COUNT <= g->cylinders * g->heads * g->sectors;

    disk_clear_buffer(COUNT);
    far_put(BUFFER_SEGMENT, 0, 1);
    disk_move(false, first, COUNT);
    check_zeros();
    disk_fill_buffer(first, COUNT, BORDER_SHIFT);
    if (by_chs) {
        disk_move_chs(true, first, COUNT, g);
    } else {
        disk_move(true, first, COUNT);
    }
    return by_chs;
}

static void read_again(uint32_t first, const struct geometry *g, bool by_chs)
{
    disk_clear_buffer(COUNT);
    disk_move(false, first, COUNT);
    disk_check_buffer(first, COUNT, BORDER_SHIFT);
    for (uint32_t number = first; number < first + COUNT; number++) { /* no access crosses it */
        disk_clear_buffer(1);
        if (by_chs) {
            disk_move_chs(false, number, 1, g);
        } else {
            disk_move(false, number, 1);
        }
        disk_check_buffer(number, 1, BORDER_SHIFT);
    }
}

void borders_check(void)
{
    struct registers r = {.eax = 0x0800, .edx = boot_drive};
    struct geometry g;
    bool by_chs[BORDERS];
    unsigned count = 0;

    bios_call(0x13, &r);
    if ((r.edx & 0xff) < 2) {
        return;
    }
    disk_drive = boot_drive + 1U;
    uint32_t total = disk_geometry(&g);

    check(total > borders[BORDERS - 1] + COUNT, "the second disk is large");
    for (unsigned i = 0; i < BORDERS; i++) {
        by_chs[i] = cross(borders[i] - BEFORE, &g);
        count += by_chs[i];
    }
    for (unsigned i = 0; i < BORDERS; i++) {
        read_again(borders[i] - BEFORE, &g, by_chs[i]);
    }
    disk_drive = boot_drive;
    say("disk: %u borders up to %u GiB, %u by CHS of %u/%u/%u", BORDERS, total >> 21, count,
        g.cylinders, g.heads, g.sectors);
}
