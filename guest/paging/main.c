/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables changed under way: INVLPG, CR3, CR0.WP, CR4.PGE, NX, accessed and dirty bits, faults
 * with the right error codes. A stale translation of the VMM's would show as an old value.
 */
#include "guest/lib/guest.h"

#include <string.h>

#define WINDOW      0x60000000UL
#define PRESENT     0x001UL
#define WRITE       0x002UL
#define ACCESSED    0x020UL
#define DIRTY       0x040UL
#define GLOBAL      0x100UL
#define NO_EXECUTE  (1UL << 63)
#define CR4_PGE     (1UL << 7)
#define VECTOR_PF   14
#define ERROR_WRITE 2
#define ERROR_FETCH 16
#define ROUNDS      500

extern uint64_t guest_pd[];

static uint64_t table[512] __attribute__((aligned(4096)));
static uint64_t frames[8][512] __attribute__((aligned(4096)));
static volatile uint64_t *const window = (volatile uint64_t *)WINDOW;

static void map(unsigned slot, const void *frame, uint64_t flags)
{
    *(volatile uint64_t *)&table[slot] = frame ? ((uint64_t)frame | flags) : 0;
}

static void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
}

static void test_flush(void)
{
    unsigned stale = 0;

    test_group("INVLPG and CR3 writes make a new entry count");
    for (unsigned i = 0; i < 8; i++) {
        frames[i][0] = 1000 + i;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned frame = round % 8;

        map(0, frames[frame], PRESENT | WRITE);
        if (round & 8) {
            invlpg(window);
        } else {
            write_cr3(read_cr3());
        }
        stale += window[0] != 1000 + frame;
    }
    CHECK_EQUAL(stale, 0);

    test_group("global entries end with CR4.PGE");
    write_cr4(read_cr4() | CR4_PGE);
    map(0, frames[1], PRESENT | WRITE | GLOBAL);
    invlpg(window);
    CHECK_EQUAL(window[0], 1001);
    map(0, frames[2], PRESENT | WRITE | GLOBAL);
    write_cr4(read_cr4() & ~CR4_PGE);
    CHECK_EQUAL(window[0], 1002);
}

static void read_window(void *unused)
{
    (void)window[0];
}

static void write_window(void *unused)
{
    window[0] = 5;
}

static void run_window(void *unused)
{
    ((void (*)(void))WINDOW)();
}

static void test_faults(void)
{
    test_group("faults and their error codes");
    map(0, NULL, 0);
    invlpg(window);
    CHECK_EQUAL(fault_catch(read_window, NULL), VECTOR_PF);
    CHECK_EQUAL(fault_error, 0);
    CHECK_EQUAL(fault_address, WINDOW);
    CHECK_EQUAL(fault_catch(write_window, NULL), VECTOR_PF);
    CHECK_EQUAL(fault_error, ERROR_WRITE);
    map(0, frames[0], PRESENT);
    invlpg(window);
    CHECK_EQUAL(fault_catch(read_window, NULL), -1);
    CHECK_EQUAL(fault_catch(write_window, NULL), VECTOR_PF);
    CHECK_EQUAL(fault_error, ERROR_WRITE | 1);
    ((volatile uint8_t *)frames[0])[0] = 0xc3; /* ret */
    CHECK_EQUAL(fault_catch(run_window, NULL), -1);
    map(0, frames[0], PRESENT | NO_EXECUTE);
    invlpg(window);
    CHECK_EQUAL(fault_catch(run_window, NULL), VECTOR_PF);
    CHECK_EQUAL(fault_error, ERROR_FETCH | 1);
}

static void test_accessed_dirty(void)
{
    test_group("accessed and dirty bits");
    map(0, frames[0], PRESENT | WRITE);
    invlpg(window);
    CHECK_EQUAL(table[0] & (ACCESSED | DIRTY), 0);
    (void)window[0];
    CHECK_EQUAL(*(volatile uint64_t *)&table[0] & (ACCESSED | DIRTY), ACCESSED);
    window[0] = 1;
    CHECK_EQUAL(*(volatile uint64_t *)&table[0] & (ACCESSED | DIRTY), ACCESSED | DIRTY);
}

int main(void)
{
    memset(table, 0, sizeof(table));
    guest_pd[WINDOW >> 21] = (uint64_t)table | PRESENT | WRITE;
    write_cr3(read_cr3());
    test_flush();
    test_faults();
    test_accessed_dirty();
    test_end();
}
