/* SPDX-License-Identifier: BSD-2-Clause */
/* INT 13h: geometry, reads by CHS and LBA that must agree, writes. What the disk holds is known. */
#include "guest/bios/bios.h"

#define DISK_SECTORS  4096U
#define READ_MAX      64U /* sectors in the buffer */
#define CHS_COUNT     5U  /* across an end of a track */
#define WRITE_FIRST   2040U
#define WRITE_COUNT   17U
#define WRITE_SHIFT   3U
#define FIRST_PATTERN 64U /* before it is this program */

uint8_t disk_drive;

static struct {
    uint8_t size, zero;
    uint16_t count, offset, segment;
    uint64_t first;
} __attribute__((packed)) packet;

static struct {
    uint16_t size, flags;
    uint32_t cylinders, heads, sectors;
    uint64_t total;
    uint16_t bytes;
} __attribute__((packed)) parameters;

void disk_move(bool write, uint32_t number, unsigned count)
{
    struct registers r = {
        .eax = write ? 0x4300 : 0x4200, .edx = disk_drive, .esi = (uint32_t)(uintptr_t)&packet};

    packet.size = sizeof(packet);
    packet.count = (uint16_t)count;
    packet.offset = 0;
    packet.segment = BUFFER_SEGMENT;
    packet.first = number;
    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.eax & 0xff00) == 0 && packet.count == count,
          write ? "a write by LBA" : "a read by LBA");
}

/* As tests/machine/vfdisk.py knows it. */
static uint8_t byte_of(uint32_t sector, uint32_t i, unsigned shift)
{
    return (uint8_t)(sector * 7 + (sector >> 8) + 1 + shift + 13 * i);
}

void disk_check_buffer(uint32_t first, unsigned count, unsigned shift)
{
    for (uint32_t i = 0; i < count * SECTOR_SIZE; i++) {
        check(far_get(BUFFER_SEGMENT, (uint16_t)i) ==
                  byte_of(first + i / SECTOR_SIZE, i % SECTOR_SIZE, shift),
              "the disk's contents");
    }
}

void disk_fill_buffer(uint32_t first, unsigned count, unsigned shift)
{
    for (uint32_t i = 0; i < count * SECTOR_SIZE; i++) {
        far_put(BUFFER_SEGMENT, (uint16_t)i,
                byte_of(first + i / SECTOR_SIZE, i % SECTOR_SIZE, shift));
    }
}

void disk_clear_buffer(unsigned count)
{
    for (uint32_t i = 0; i < count * SECTOR_SIZE; i++) {
        far_put(BUFFER_SEGMENT, (uint16_t)i, 0);
    }
}

void disk_move_chs(bool write, uint32_t number, unsigned count, const struct geometry *g)
{
    uint32_t cylinder = number / (g->heads * g->sectors), rest = number % (g->heads * g->sectors);
    struct registers r = {
        .eax = (write ? 0x0300 : 0x0200) | count,
        .ebx = 0,
        .ecx = (cylinder & 0xff) << 8 | (cylinder >> 2 & 0xc0) | (rest % g->sectors + 1),
        .edx = (rest / g->sectors) << 8 | disk_drive,
        .es = BUFFER_SEGMENT,
    };

    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.eax & 0xff) == count,
          write ? "a write by CHS" : "a read by CHS");
}

uint32_t disk_geometry(struct geometry *g)
{
    struct registers r = {.eax = 0x4100, .ebx = 0x55aa, .edx = disk_drive};

    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.ebx & 0xffff) == 0xaa55 && (r.ecx & 1) != 0,
          "extensions");
    parameters.size = sizeof(parameters);
    r = (struct registers){
        .eax = 0x4800, .edx = disk_drive, .esi = (uint32_t)(uintptr_t)&parameters};
    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) == 0 && parameters.total >> 32 == 0 &&
              parameters.bytes == SECTOR_SIZE,
          "the disk's size");
    r = (struct registers){.eax = 0x0800, .edx = disk_drive};
    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.edx & 0xff) >= 1, "the disk's geometry");
    g->heads = (r.edx >> 8 & 0xff) + 1;
    g->sectors = r.ecx & 0x3f;
    g->cylinders = ((r.ecx >> 8 & 0xff) | (r.ecx << 2 & 0x300)) + 1;
    return (uint32_t)parameters.total;
}

static void check_reads(const struct geometry *g)
{
    uint32_t cylinder = g->heads * g->sectors;
    const uint32_t firsts[] = {FIRST_PATTERN,    g->sectors * 2 - 1,
                               cylinder - 1,     cylinder,
                               2 * cylinder - 3, g->cylinders * cylinder - CHS_COUNT};

    for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        disk_clear_buffer(CHS_COUNT);
        disk_move_chs(false, firsts[i], CHS_COUNT, g);
        disk_check_buffer(firsts[i], CHS_COUNT, 0);
        disk_clear_buffer(READ_MAX);
        disk_move(false, firsts[i], READ_MAX);
        disk_check_buffer(firsts[i], READ_MAX, 0);
    }
}

void disk_check(void)
{
    struct geometry g;
    struct registers r;

    disk_drive = boot_drive;
    check(disk_geometry(&g) == DISK_SECTORS, "the disk's size");
    if (g.sectors != 0) { /* 64 do not fit: SeaBIOS says so of QEMU's small SCSI disks */
        check_reads(&g);
    }
    disk_move(false, DISK_SECTORS - READ_MAX, READ_MAX);
    disk_check_buffer(DISK_SECTORS - READ_MAX, READ_MAX, 0);
    disk_fill_buffer(WRITE_FIRST, WRITE_COUNT, WRITE_SHIFT);
    disk_move(true, WRITE_FIRST, WRITE_COUNT);
    disk_clear_buffer(WRITE_COUNT);
    disk_move(false, WRITE_FIRST, WRITE_COUNT);
    disk_check_buffer(WRITE_FIRST, WRITE_COUNT, WRITE_SHIFT);
    disk_move(false, WRITE_FIRST - 1, 1);
    disk_check_buffer(WRITE_FIRST - 1, 1, 0);
    packet.first = DISK_SECTORS;
    r = (struct registers){.eax = 0x4200, .edx = disk_drive, .esi = (uint32_t)(uintptr_t)&packet};
    bios_call(0x13, &r);
    check((r.flags & FLAG_CARRY) != 0, "a read behind the end is refused");
    say("disk: %u sectors, %u/%u/%u", DISK_SECTORS, g.cylinders, g.heads, g.sectors);
    borders_check();
}
