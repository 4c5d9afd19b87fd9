/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-modifying code: an instruction written just before it runs, also across a page, and through
 * a second mapping. */
#include "guest/lib/guest.h"

#include <string.h>

#define ALIAS_BASE 0x40000000UL /* the 2 MiB page here is mapped onto the code's */
#define ROUNDS     2000

extern uint64_t guest_pd[];

static uint8_t code[2 * 4096] __attribute__((aligned(4096)));

/* mov $VALUE, %eax; ret */
static void write_code(volatile uint8_t *at, uint32_t value)
{
    at[0] = 0xb8;
    for (unsigned i = 0; i < 4; i++) {
        at[1 + i] = (uint8_t)(value >> (8 * i));
    }
    at[5] = 0xc3;
}

static uint32_t run(const volatile uint8_t *at)
{
    return ((uint32_t(*)(void))(uint64_t)at)();
}

static void test_at(const char *name, volatile uint8_t *write_to, const volatile uint8_t *run_at)
{
    unsigned wrong = 0;

    test_group(name);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        write_code(write_to, i * 0x01010101u + i);
        wrong += run(run_at) != i * 0x01010101u + i;
    }
    CHECK_EQUAL(wrong, 0);
}

int main(void)
{
    uint64_t page = (uint64_t)code & ~0x1fffffUL;
    volatile uint8_t *alias = (volatile uint8_t *)(ALIAS_BASE + ((uint64_t)code - page));

    guest_pd[ALIAS_BASE >> 21] = page | 0x83;
    invlpg((void *)ALIAS_BASE);
    test_at("in place", code, code);
    test_at("across a page", code + 4096 - 2, code + 4096 - 2);
    test_at("written through another mapping", alias, code);
    test_end();
}
