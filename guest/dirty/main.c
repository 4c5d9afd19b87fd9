/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes known pages in every way that a guest can, when it is told to on its console ('g': the
 * next round, 'q': check the memory and end), and says which: tests/machine/dirty.py compares that
 * with what the VMM has seen. A page that it only reads, or that the CPU only may write, is said
 * too.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define UART           0x3f8
#define UART_LSR       5
#define CMOS_INDEX     0x70
#define CMOS_DATA      0x71
#define CMOS_FREE      0x50
#define CMOS_VALUE     0x77
#define LAPIC_VERSION  0xfee00030UL
#define MB             (1UL << 20)
#define PAGE           4096UL
#define ARENA          (16 * MB)
#define ARENA_END      (48 * MB)
#define PRESENT        1U
#define WRITABLE       2U
#define ACCESSED_DIRTY 0x60U

/* Tables of the guest's own in the arena: from 4 GiB on they map pages of it once more. */
#define VIEW      (4UL << 30)
#define PD        (ARENA + 20 * MB)
#define PT        (ARENA + 20 * MB + 8 * PAGE)
#define PT_OTHER  (ARENA + 20 * MB + 16 * PAGE)
#define VIEWED    (ARENA + 18 * MB)
#define OTHER     (ARENA + 24 * MB)
#define UNTOUCHED (ARENA + 16 * MB)

extern uint64_t guest_pdpt[];
extern uint8_t guest_end[];

static volatile uint64_t *word(uint64_t address)
{
    return (volatile uint64_t *)address;
}

/* Say a page that was written (or that may have been) to its last byte. */
static void say(const char *what, uint64_t first, unsigned pages)
{
    printf("%s %lx-%lx\n", what, first, first + pages * PAGE - 1);
}

static void build_tables(void)
{
    memset((void *)PD, 0, PAGE);
    memset((void *)PT, 0, PAGE);
    memset((void *)PT_OTHER, 0, PAGE);
    *word(PD) = PT | PRESENT | WRITABLE;
    *word(PD + 8) = PT_OTHER | PRESENT | WRITABLE;
    for (unsigned i = 0; i < 4; i++) {
        *word(PT + i * 8UL) = (VIEWED + i * PAGE) | PRESENT | WRITABLE;
    }
    *word(PT_OTHER) = OTHER | PRESENT | WRITABLE;
    guest_pdpt[4] = PD | PRESENT | WRITABLE;
    write_cr3(read_cr3());
}

static void insb(uint64_t to, uint64_t count)
{
    outb(CMOS_INDEX, CMOS_FREE);
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(CMOS_DATA) : "memory");
}

/* From a device's register to TO, which the VMM carries out. */
static void move_register(uint64_t to)
{
    uint64_t from = LAPIC_VERSION;

    __asm__ volatile("movsl" : "+S"(from), "+D"(to)::"memory");
}

static void push_register(uint64_t top)
{
    uint64_t saved;

    __asm__ volatile("mov %%rsp, %0; mov %1, %%rsp; pushq (%2); mov %0, %%rsp"
                     : "=&r"(saved)
                     : "r"(top), "r"(LAPIC_VERSION)
                     : "memory");
}

static bool exchange(uint64_t at, uint64_t expected, uint64_t value)
{
    return __atomic_compare_exchange_n((uint64_t *)at, &expected, value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* What is said of pages in which the CPU sets bits A and D. */
static const char *tables = "wrote";

static uint64_t filled_from = ARENA + 4 * MB + 0x800;

static void write_by_cpu(void)
{
    uint64_t to = filled_from, count = 2 * PAGE;

    *word(ARENA + 8) = 1;
    say("wrote", ARENA, 1);
    *word(ARENA + 2 * MB - 8) = 2; /* the last page of a large one */
    say("wrote", ARENA + 2 * MB - PAGE, 1);
    *word(ARENA + 2 * MB + 3 * PAGE - 4) = 3; /* across two */
    say("wrote", ARENA + 2 * MB + 2 * PAGE, 2);
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0x5a) : "memory");
    say("wrote", ARENA + 4 * MB, 3);
    CHECK(exchange(ARENA + 12 * MB, 0, 4));
    say("wrote", ARENA + 12 * MB, 1);
    CHECK(!exchange(ARENA + 14 * MB, 5, 6)); /* it writes back what was there */
    say("may", ARENA + 14 * MB, 1);
}

static void write_by_vmm(void)
{
    insb(ARENA + 7 * MB - 16, 32);
    say("wrote", ARENA + 7 * MB - PAGE, 2);
    move_register(ARENA + 8 * MB + 16);
    say("wrote", ARENA + 8 * MB, 1);
    push_register(ARENA + 10 * MB + 16);
    say("wrote", ARENA + 10 * MB, 1);
    move_register(VIEW + 2 * MB); /* the VMM sets the bits A and D of its table */
    say(tables, PT_OTHER, 1);
    say("wrote", OTHER, 1);
}

/* What the CPU writes by itself: bits A and D. */
static void write_by_walk(void)
{
    CHECK_EQUAL(*word(VIEW), 0);
    say(tables, PD, 1);
    say(tables, PT, 1);
    *word(VIEW + PAGE) = 7;
    say("wrote", VIEWED + PAGE, 1);
    CHECK_EQUAL(*word(UNTOUCHED), 0);
}

static void round_all(void)
{
    write_by_cpu();
    write_by_vmm();
    write_by_walk();
}

/* Pages that were clean or dirty before; the tables need no new bits, but may be walked for writing
 * (AMD APM 2, 15.25.5). */
static void round_again(void)
{
    *word(ARENA + 16) = 8;
    say("wrote", ARENA, 1);
    *word(ARENA + PAGE) = 9;
    say("wrote", ARENA + PAGE, 1);
    insb(ARENA + 7 * MB + 100, 1);
    say("wrote", ARENA + 7 * MB, 1);
    *word(VIEW + PAGE + 8) = 10;
    say("wrote", VIEWED + PAGE, 1);
    say("may", PD, 1);
    say("may", PT, 1);
}

static void round_nothing(void)
{
    uint64_t sum = 0;

    for (uint64_t at = ARENA; at < ARENA_END; at += PAGE) {
        sum += *word(at + 2048);
    }
    CHECK(sum != 0);
}

static void check_memory(void)
{
    test_group("all that was written is there");
    CHECK_EQUAL(*word(ARENA + 8), 1);
    CHECK_EQUAL(*word(ARENA + 2 * MB - 8), 2);
    CHECK_EQUAL(*word(ARENA + 2 * MB + 3 * PAGE - 4), 3);
    for (uint64_t i = 0; i < 2 * PAGE; i++) {
        CHECK_EQUAL(*(volatile uint8_t *)(filled_from + i), 0x5a);
    }
    CHECK_EQUAL(*word(ARENA + 12 * MB), 4);
    CHECK_EQUAL(*word(ARENA + 14 * MB), 0);
    for (uint64_t i = 0; i < 32; i++) {
        CHECK_EQUAL(*(volatile uint8_t *)(ARENA + 7 * MB - 16 + i), CMOS_VALUE);
    }
    CHECK_EQUAL(mmio_read(ARENA + 8 * MB + 16), mmio_read(LAPIC_VERSION));
    CHECK_EQUAL(mmio_read(ARENA + 10 * MB + 8), mmio_read(LAPIC_VERSION));
    CHECK_EQUAL(mmio_read(OTHER), mmio_read(LAPIC_VERSION));
    CHECK_EQUAL(*word(VIEWED + PAGE), 7);
    CHECK_EQUAL(*word(PT) & ACCESSED_DIRTY, 0x20);
    CHECK_EQUAL(*word(PT + 8) & ACCESSED_DIRTY, ACCESSED_DIRTY);
    CHECK_EQUAL(*word(PT_OTHER) & ACCESSED_DIRTY, ACCESSED_DIRTY);
    CHECK_EQUAL(*word(ARENA + 16), 8);
    CHECK_EQUAL(*word(VIEWED + PAGE + 8), 10);
}

static char next_order(void)
{
    while (!(inb(UART + UART_LSR) & 1)) {
        cpu_relax();
    }
    return (char)inb(UART);
}

int main(void)
{
    static void (*const rounds[])(void) = {round_all, round_again, round_nothing, round_again};

    if (strstr(guest_command_line(), "no-walks")) {
        printf("skipped: bits A and D: this machine's CPU sets them without a look at nested "
               "rights\n");
        tables = "may";
    }
    for (uint64_t at = ARENA; at < ARENA_END; at += PAGE) { /* all of it is there, and clean */
        *word(at) = 0;
    }
    memset((void *)(ARENA + 4 * MB), 0, 3 * PAGE);
    outb(CMOS_INDEX, CMOS_FREE);
    outb(CMOS_DATA, CMOS_VALUE);
    build_tables();
    say("own", 0x100000, (unsigned)(((uint64_t)guest_end - 0x100000) / PAGE));
    for (unsigned i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        printf("ready %u\n", i);
        if (next_order() != 'g') {
            break;
        }
        rounds[i]();
    }
    printf("ready to end\n");
    while (next_order() != 'q') {
    }
    check_memory();
    test_end();
}
