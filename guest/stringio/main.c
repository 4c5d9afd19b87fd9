/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS and OUTS: all widths, with and without REP, both directions, across pages, with a fault in
 * the middle; against the CMOS RAM (bytes), the CF8 address register (double words) and port 80h.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define CMOS_INDEX     0x70
#define CMOS_DATA      0x71
#define CMOS_FREE      0x50 /* a byte of battery RAM that nobody checks here */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_VALUE   0x80000000U
#define DELAY_PORT     0x80
#define VECTOR_PF      14

static uint8_t pages[3 * 4096] __attribute__((aligned(4096)));

static void insb(uint16_t port, void *to, uint64_t count)
{
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void test_widths(void)
{
    test_group("single INS and OUTS of each width");
    uint8_t byte = 0x5a, byte_back = 0;
    const void *from = &byte;
    void *to = &byte_back;

    outb(CMOS_INDEX, CMOS_FREE);
    __asm__ volatile("outsb" : "+S"(from) : "d"(CMOS_DATA) : "memory");
    CHECK_EQUAL((uint64_t)from - (uint64_t)&byte, 1);
    outb(CMOS_INDEX, CMOS_FREE);
    __asm__ volatile("insb" : "+D"(to) : "d"(CMOS_DATA) : "memory");
    CHECK_EQUAL((uint64_t)to - (uint64_t)&byte_back, 1);
    CHECK_EQUAL(byte_back, 0x5a);

    uint32_t value = CONFIG_VALUE | 0x5678, value_back[2] = {0, 0xdeadbeef};

    from = &value;
    to = value_back;
    __asm__ volatile("outsl" : "+S"(from) : "d"(CONFIG_ADDRESS) : "memory");
    __asm__ volatile("insl" : "+D"(to) : "d"(CONFIG_ADDRESS) : "memory");
    CHECK_EQUAL(value_back[0] & 0xfffffc, value & 0xfffffc);
    CHECK_EQUAL(value_back[1], 0xdeadbeef);
    CHECK_EQUAL((uint64_t)to - (uint64_t)value_back, 4);

    uint16_t word = 0x1234;

    from = &word;
    __asm__ volatile("outsw" : "+S"(from) : "d"(DELAY_PORT) : "memory");
    CHECK_EQUAL((uint64_t)from - (uint64_t)&word, 2);
}

static void test_repeat(void)
{
    test_group("REP across a page, forwards");
    memset(pages, 0xee, sizeof(pages));
    outb(CMOS_INDEX, CMOS_FREE);
    outb(CMOS_DATA, 0x77);
    uint8_t *start = pages + 4096 - 3;

    outb(CMOS_INDEX, CMOS_FREE);
    insb(CMOS_DATA, start, 7);
    CHECK_EQUAL(start[-1], 0xee);
    CHECK_EQUAL(start[7], 0xee);
    CHECK_EQUAL(start[0], 0x77);

    test_group("a count of zero does nothing");
    void *to = start;
    uint64_t count = 0;

    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(CMOS_DATA) : "memory");
    CHECK_EQUAL((uint64_t)to, (uint64_t)start);

    test_group("REP backwards");
    uint32_t words[8];

    memset(words, 0xcc, sizeof(words));
    outl(CONFIG_ADDRESS, CONFIG_VALUE);
    to = &words[6];
    count = 4;
    __asm__ volatile("std; rep insl; cld" : "+D"(to), "+c"(count) : "d"(CONFIG_ADDRESS) : "memory");
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL((uint64_t)to, (uint64_t)&words[2]);
    CHECK_EQUAL(words[2], 0xcccccccc);
    for (unsigned i = 3; i < 7; i++) {
        CHECK_EQUAL(words[i], CONFIG_VALUE);
    }
    CHECK_EQUAL(words[7], 0xcccccccc);

    test_group("a page and more of OUTS");
    const void *from = pages;

    count = 4096 + 100;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(DELAY_PORT) : "memory");
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL((uint64_t)from, (uint64_t)pages + 4096 + 100);
}

/* Take the 2 MiB page that holds ADDRESS apart, so that single pages can be withdrawn. */
static uint64_t table[512] __attribute__((aligned(4096)));
extern uint64_t guest_pd[];

static void split(uint64_t address)
{
    uint64_t base = address & ~0x1fffffUL;

    for (unsigned i = 0; i < 512; i++) {
        table[i] = (base + i * 4096UL) | 3;
    }
    guest_pd[address >> 21] = (uint64_t)table | 3;
    write_cr3(read_cr3());
}

#define HOLE (pages + 4096)

static volatile uint64_t stopped_rdi, stopped_rcx, stopped_cr2;
static volatile unsigned stops;

static void repair(struct guest_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    stops++;
    stopped_rdi = frame->rdi;
    stopped_rcx = frame->rcx;
    stopped_cr2 = cr2;
    table[(uint64_t)HOLE >> 12 & 511] |= 1;
    invlpg(HOLE);
}

static void test_fault(void)
{
    test_group("a page fault in the middle stops where it is, and goes on");
    uint8_t *hole = HOLE;
    void *to = hole - 10;
    uint64_t count = 20;

    split((uint64_t)pages);
    memset(pages, 0xee, sizeof(pages));
    table[(uint64_t)hole >> 12 & 511] &= ~1UL;
    invlpg(hole);
    interrupt_set_handler(VECTOR_PF, repair);
    outb(CMOS_INDEX, CMOS_FREE);
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(CMOS_DATA) : "memory");
    interrupt_set_handler(VECTOR_PF, NULL);
    CHECK_EQUAL(stops, 1);
    if (strstr(guest_command_line(), "no-cr2")) {
        printf("skipped: CR2: Bochs 2.7's VMRUN does not load it, so that an injected #PF has an "
               "old one\n");
    } else {
        CHECK_EQUAL(stopped_cr2, (uint64_t)hole);
    }
    CHECK_EQUAL(stopped_rdi, (uint64_t)hole);
    CHECK_EQUAL(stopped_rcx, 10);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL((uint64_t)to, (uint64_t)hole + 10);
    CHECK_EQUAL(hole[10], 0xee);
}

int main(void)
{
    test_widths();
    test_repeat();
    test_fault();
    test_end();
}
