/* SPDX-License-Identifier: BSD-2-Clause */
/* Random page tables, and accesses through them. What can be written is scratch memory only. */
#pragma GCC target("general-regs-only")

#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#define TABLES      3
#define INDEXES     4 /* entries in use of each table */
#define FIRST_SLOT  8 /* in the top table; below is the fuzzer */
#define PRESENT     1UL
#define WRITE       2UL
#define ADDRESS     0x000ffffffffff000UL
#define LARGE       0x80UL
#define NO_EXECUTE  (1UL << 63)
#define SCRATCH     0x2000000UL /* 2 MiB at 32 MiB */
#define SCRATCH_LEN 0x200000UL
#define ROUND       16 /* accesses before the tables change */

extern uint64_t guest_pml4[];

static uint64_t top[512] __attribute__((aligned(4096)));
static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));

static uint64_t stub_read(uint64_t address, uint64_t width)
{
    return width == 1   ? *(volatile uint8_t *)address
           : width == 2 ? *(volatile uint16_t *)address
           : width == 4 ? *(volatile uint32_t *)address
                        : *(volatile uint64_t *)address;
}

static uint64_t stub_write(uint64_t address, uint64_t width)
{
    if (width == 1) {
        *(volatile uint8_t *)address = 0;
    } else if (width == 2) {
        *(volatile uint16_t *)address = 0x5a5a;
    } else if (width == 4) {
        *(volatile uint32_t *)address = 0xc2c2c2c2;
    } else {
        *(volatile uint64_t *)address = 0xfefefefefefefefe;
    }
    return 0;
}

static uint64_t stub_exchange(uint64_t address, uint64_t width)
{
    __asm__ volatile("xchgb %b0, (%1)" : "+q"(width) : "r"(address) : "memory");
    return 0;
}

/*
 * What an entry of LEVEL that is no leaf points to. A table in device memory is what a real CPU
 * would read; a VMM may well stop the guest for it.
 */
static uint64_t table_choose(unsigned level)
{
    return fuzz_state->walks && fuzz_one_in(16) ? APIC_BASE : (uint64_t)tables[level - 2];
}

/* An entry at LEVEL (1: of 4 KiB pages); if it is no leaf, its address is yet to be filled in. */
static uint64_t entry_choose(unsigned level)
{
    uint64_t flags = (fuzz_random() & (0xfffUL | NO_EXECUTE)) | (fuzz_below(8) ? PRESENT : 0);
    bool leaf = level == 1 || (level < 4 && (flags & LARGE));

    if (fuzz_one_in(16)) { /* reserved bits */
        flags |= 1UL << (40 + fuzz_below(23));
    }
    if (!leaf) {
        return flags;
    }
    if (level == 1 && fuzz_below(4)) {
        return flags | (SCRATCH + 4096UL * fuzz_below(SCRATCH_LEN / 4096));
    }
    if (level == 2 && fuzz_below(2)) {
        return flags | SCRATCH;
    }
    if (level == 1 && fuzz_one_in(8)) {
        return (flags & ~WRITE) | (fuzz_one_in(2) ? APIC_BASE : IOAPIC_BASE);
    }
    return (flags & ~WRITE) | (fuzz_value() & ADDRESS);
}

/*
 * A table serves at one level only, so that a leaf is never taken for a pointer: table n - 1 holds
 * the entries of level n. Level 4's is the top table.
 */
static void tables_fill(void)
{
    for (unsigned i = 0; i < INDEXES; i++) {
        for (unsigned level = 1; level <= 3; level++) {
            uint64_t entry = entry_choose(level);
            bool leaf = level == 1 || (entry & LARGE);

            if (!leaf) {
                entry = (entry & ~ADDRESS) | table_choose(level);
            }
            tables[level - 1][i] = entry;
        }
        uint64_t entry = entry_choose(4);

        top[FIRST_SLOT + i] = (entry & ~ADDRESS) | (uint64_t)tables[2];
    }
}

static uint64_t address_choose(void)
{
    uint64_t address = (uint64_t)(FIRST_SLOT + fuzz_below(INDEXES)) << 39;

    for (unsigned shift = 30; shift >= 12; shift -= 9) {
        address |= (uint64_t)fuzz_below(INDEXES) << shift;
    }
    return address + (fuzz_one_in(4) ? 4096 - fuzz_below(8) : fuzz_below(4096));
}

static void top_prepare(void)
{
    for (unsigned i = 0; i < 512; i++) {
        top[i] = guest_pml4[i];
    }
}

void fuzz_run_page_tables(void)
{
    top_prepare();
    uint64_t before = fuzz_state->good_cr3;

    fuzz_state->good_cr3 = (uint64_t)top;
    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        if (i % ROUND == 0) {
            tables_fill();
            write_cr3((uint64_t)top);
        }
        uint64_t address = address_choose(), width = 1UL << fuzz_below(4);

        switch (fuzz_below(8)) {
        case 0:
        case 1:
            (void)fuzz_try(stub_write, address, width);
            break;
        case 2:
            (void)fuzz_try(stub_exchange, address, 2 * width);
            break;
        case 3:
            invlpg((const volatile void *)address);
            break;
        default:
            (void)fuzz_try(stub_read, address, width);
        }
    }
    fuzz_state->good_cr3 = before;
    write_cr3(before);
}
