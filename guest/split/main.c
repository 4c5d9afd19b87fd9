/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stress for nested page tables: RAM touched page by page beside holes and device memory, and the
 * guest's own tables changed between 4 KiB, 2 MiB and 1 GiB pages over the same RAM. A mapping
 * that the VMM splits, joins or forgets to flush shows as a value of another page.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>

#define PRESENT      1UL
#define WRITE        2UL
#define LARGE        0x80UL
#define GLOBAL       0x100UL
#define CR4_PGE      (1UL << 7)
#define CPUID_1G     (1U << 26)
#define RAM_FIRST    0x1000000UL /* areas of 2 MiB from here on */
#define AREA         0x200000UL
#define AREAS_MAX    24U
#define PAGE         4096UL
#define WINDOW       0x8000000000UL /* its own entry of the top table */
#define GIGABYTE     0x40000000UL
#define ROUNDS       300
#define FIRMWARE     0xe0000UL
#define FIRMWARE_END 0x100000UL

extern uint64_t guest_pml4[];

static uint64_t pointers[512] __attribute__((aligned(4096)));
static uint64_t directory[512] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));
static unsigned areas;
static uint64_t seed = 1;

static unsigned random_below(unsigned below)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (unsigned)((seed >> 33) % below);
}

static volatile uint64_t *word(uint64_t address)
{
    return (volatile uint64_t *)address;
}

static uint64_t mark(uint64_t physical)
{
    return physical * 0x9e3779b97f4a7c15 ^ 0x5bd1e995;
}

static void entry_set(uint64_t *at, uint64_t value)
{
    *(volatile uint64_t *)at = value;
}

static void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

/* Touch every page once, out of order, with accesses to device memory in between. */
static void test_touch(void)
{
    unsigned pages = areas * 512, wrong = 0, step = 509; /* a prime */
    uint32_t apic = apic_read(APIC_VERSION), ioapic = ioapic_read(1);
    unsigned device_wrong = 0;

    test_group("every page of many areas, with device memory in between");
    for (unsigned i = 0, page = 0; i < pages; i++, page = (page + step) % pages) {
        uint64_t address = RAM_FIRST + page * PAGE;

        *word(address) = mark(address);
        *word(address + PAGE - 8) = ~mark(address);
        if (i % 64 == 0) {
            device_wrong += apic_read(APIC_VERSION) != apic;
            device_wrong += ioapic_read(1) != ioapic;
        }
    }
    for (uint64_t address = RAM_FIRST; address < RAM_FIRST + areas * AREA; address += PAGE) {
        wrong += *word(address) != mark(address);
        wrong += *word(address + PAGE - 8) != ~mark(address);
    }
    CHECK_EQUAL(wrong, 0);
    CHECK_EQUAL(device_wrong, 0);
}

/* The pages next to device memory and to the end of RAM. */
static void test_borders(void)
{
    uint64_t top = (0x100000 + guest_memory_upper()) & ~(PAGE - 1);
    uint32_t version = apic_read(APIC_VERSION);

    test_group("the last page of RAM, and holes beside device memory");
    *word(top - 8) = 0x1122334455667788;
    *word(top - PAGE) = 0x99aabbccddeeff00;
    for (unsigned i = 0; i < 100; i++) {
        (void)*word(IOAPIC_BASE - 8);
        (void)*word(IOAPIC_BASE + PAGE);
        (void)*word(APIC_BASE - 8);
        *(volatile uint32_t *)(IOAPIC_BASE + PAGE) = 0x55555555;
        *(volatile uint32_t *)(APIC_BASE - 4) = 0x55555555;
    }
    CHECK_EQUAL(*word(top - 8), 0x1122334455667788);
    CHECK_EQUAL(*word(top - PAGE), 0x99aabbccddeeff00);
    CHECK_EQUAL(apic_read(APIC_VERSION), version);

    test_group("the firmware's area reads the same each time");
    uint64_t sums[2] = {0, 0};

    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t at = FIRMWARE; at < FIRMWARE_END; at += 8) {
            sums[round] = (sums[round] << 7 ^ sums[round] >> 57) + *word(at);
        }
        (void)apic_read(APIC_ID);
    }
    CHECK_EQUAL(sums[0], sums[1]);
}

enum flush { BY_INVLPG, BY_CR3, BY_PGE, FLUSHES };

static void flush(enum flush how, uint64_t address, uint64_t length)
{
    switch (how) {
    case BY_INVLPG:
        for (uint64_t at = 0; at < length; at += PAGE) {
            invlpg((const volatile void *)(address + at));
        }
        break;
    case BY_CR3:
        write_cr3(read_cr3());
        break;
    case BY_PGE:
    case FLUSHES:
        write_cr4(read_cr4() & ~CR4_PGE);
        write_cr4(read_cr4() | CR4_PGE);
        break;
    }
}

static uint64_t area_address(unsigned area)
{
    return RAM_FIRST + area * AREA;
}

static void map_large(unsigned area, uint64_t global)
{
    entry_set(&directory[0], area_address(area) | PRESENT | WRITE | LARGE | global);
}

/* The same area as 4 KiB pages, but in reverse. */
static void map_small_reversed(unsigned area, uint64_t global)
{
    for (unsigned i = 0; i < 512; i++) {
        entry_set(&table[i], (area_address(area) + (511 - i) * PAGE) | PRESENT | WRITE | global);
    }
    entry_set(&directory[0], (uint64_t)table | PRESENT | WRITE);
}

static unsigned compare(unsigned area, bool reversed)
{
    unsigned wrong = 0;

    for (unsigned tries = 0; tries < 24; tries++) {
        unsigned page = random_below(512);
        uint64_t physical = area_address(area) + (reversed ? 511 - page : page) * PAGE;

        wrong += *word(WINDOW + page * PAGE) != mark(physical);
    }
    return wrong;
}

static void test_sizes(void)
{
    unsigned wrong[FLUSHES] = {0};

    test_group("4 KiB and 2 MiB pages in turn over the same addresses");
    for (unsigned round = 0; round < ROUNDS; round++) {
        enum flush how = (enum flush)(round % FLUSHES);
        uint64_t global = how != BY_CR3 && (round & 8) ? GLOBAL : 0; /* CR3 leaves global ones */
        unsigned area = random_below(areas);
        bool reversed = round & 1;

        if (reversed) {
            map_small_reversed(area, global);
        } else {
            map_large(area, global);
        }
        flush(how, WINDOW, AREA);
        wrong[how] += compare(area, reversed);
        flush(BY_PGE, WINDOW, AREA); /* nothing global is left for the next round */
    }
    CHECK_EQUAL(wrong[BY_INVLPG], 0);
    CHECK_EQUAL(wrong[BY_CR3], 0);
    CHECK_EQUAL(wrong[BY_PGE], 0);
}

/* One entry among small pages changed: the others must stay, this one must follow at once. */
static void test_single(void)
{
    unsigned wrong = 0;

    test_group("single entries changed under INVLPG, and their neighbours");
    map_small_reversed(0, 0);
    flush(BY_CR3, 0, 0);
    for (unsigned round = 0; round < ROUNDS * 4; round++) {
        unsigned page = 1 + random_below(510), target = random_below(areas * 512);
        uint64_t physical = RAM_FIRST + target * PAGE;
        uint64_t below = table[page - 1] & ~0xfffUL, above = table[page + 1] & ~0xfffUL;

        wrong += *word(WINDOW + page * PAGE) != mark(table[page] & ~0xfffUL);
        entry_set(&table[page], physical | PRESENT | WRITE);
        invlpg((const volatile void *)(WINDOW + page * PAGE));
        wrong += *word(WINDOW + page * PAGE) != mark(physical);
        wrong += *word(WINDOW + (page - 1) * PAGE) != mark(below);
        wrong += *word(WINDOW + (page + 1) * PAGE) != mark(above);
    }
    CHECK_EQUAL(wrong, 0);
}

static void test_gigabyte(void)
{
    uint32_t features[4];
    unsigned wrong = 0;

    cpuid(0x80000001, 0, features);
    if (!(features[3] & CPUID_1G)) {
        printf("skipped: 1 GiB pages: this CPU has none\n");
        return;
    }
    test_group("1 GiB pages over the same RAM");
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned area = random_below(areas), page = random_below(512);
        uint64_t physical = area_address(area) + page * PAGE;

        entry_set(&pointers[0], PRESENT | WRITE | LARGE);
        flush(BY_CR3, 0, 0);
        wrong += *word(WINDOW + physical) != mark(physical);
        entry_set(&pointers[0], (uint64_t)directory | PRESENT | WRITE);
        map_large(area, 0);
        flush(round & 1 ? BY_INVLPG : BY_CR3, WINDOW, AREA);
        wrong += *word(WINDOW + page * PAGE) != mark(physical);
    }
    entry_set(&pointers[3], 3 * GIGABYTE | PRESENT | WRITE | LARGE); /* with the devices in it */
    flush(BY_CR3, 0, 0);
    CHECK_EQUAL(mmio_read(WINDOW + APIC_BASE + APIC_VERSION), apic_read(APIC_VERSION));
    CHECK_EQUAL(wrong, 0);
}

/* Page tables that live in the pages being remapped: the walk itself must be up to date. */
static void test_moving_table(void)
{
    uint64_t spare = area_address(1) + 8 * PAGE;
    unsigned wrong = 0;

    test_group("a page table that moves through RAM");
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t *moved = (uint64_t *)(spare + (round % 16) * PAGE);
        unsigned page = random_below(512), area = 2 + random_below(areas - 2);

        for (unsigned i = 0; i < 512; i++) {
            entry_set(&moved[i],
                      (area_address(area) + ((i + round) % 512) * PAGE) | PRESENT | WRITE);
        }
        entry_set(&directory[0], (uint64_t)moved | PRESENT | WRITE);
        flush(BY_CR3, 0, 0);
        uint64_t physical = area_address(area) + ((page + round) % 512) * PAGE;

        wrong += *word(WINDOW + page * PAGE) != mark(physical);
    }
    CHECK_EQUAL(wrong, 0);
}

int main(void)
{
    uint64_t top = 0x100000 + guest_memory_upper();

    areas = (unsigned)((top - RAM_FIRST) / AREA) - 1;
    areas = areas < AREAS_MAX ? areas : AREAS_MAX;
    CHECK(areas >= 4);
    pic_mask_all();
    apic_enable();
    entry_set(&guest_pml4[WINDOW >> 39], (uint64_t)pointers | PRESENT | WRITE);
    entry_set(&pointers[0], (uint64_t)directory | PRESENT | WRITE);
    write_cr4(read_cr4() | CR4_PGE);
    write_cr3(read_cr3());
    test_touch();
    test_borders();
    test_sizes();
    test_single();
    test_gigabyte();
    entry_set(&pointers[0], (uint64_t)directory | PRESENT | WRITE);
    flush(BY_PGE, 0, 0);
    test_moving_table();
    test_end();
}
