/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-modifying code: an instruction written just before it runs, also across a page, and through
 * a second mapping; instructions that a hypervisor carries out, too, and pages that become others.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#define ALIAS_BASE 0x40000000UL /* the 2 MiB page here is mapped onto the code's */
#define ROUNDS     2000
#define STORES     64
#define OTHER      0x400000UL /* behind the code's 2 MiB: RAM that nobody uses */

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

/* mov $VALUE, (%rdi); ret */
static void write_store(volatile uint8_t *at, uint32_t value)
{
    at[0] = 0xc7;
    at[1] = 0x07;
    for (unsigned i = 0; i < 4; i++) {
        at[2 + i] = (uint8_t)(value >> (8 * i));
    }
    at[6] = 0xc3;
}

/* Does the code at AT write VALUE to the local APIC's task priority? */
static bool stores(const volatile uint8_t *at, uint32_t value)
{
    uint64_t tpr = APIC_BASE + APIC_TPR;

    ((void (*)(uint64_t))(uint64_t)at)(tpr);
    return mmio_read(tpr) == value;
}

static void test_stores_at(const char *name, volatile uint8_t *write_to,
                           const volatile uint8_t *run_at)
{
    unsigned wrong = 0;

    test_group(name);
    for (uint32_t i = 0; i < STORES; i++) {
        write_store(write_to, i / 2 % 16 << 4); /* each twice: once changed, once the same */
        wrong += !stores(run_at, i / 2 % 16 << 4);
    }
    CHECK_EQUAL(wrong, 0);
}

/* The same address is one frame's and another one's in turn. */
static void test_stores_remapped(uint64_t page, uint64_t offset)
{
    const volatile uint8_t *run_at = (const volatile uint8_t *)(ALIAS_BASE + offset);
    unsigned wrong = 0;

    test_group("stores in pages that become others");
    write_store((volatile uint8_t *)(page + offset), 0x20);
    write_store((volatile uint8_t *)(page + OTHER + offset), 0x50);
    for (uint32_t i = 0; i < STORES; i++) {
        bool other = i & 2;

        guest_pd[ALIAS_BASE >> 21] = (page + (other ? OTHER : 0)) | 0x83;
        invlpg((void *)(ALIAS_BASE + offset)); /* QEMU 7.2 keeps code of the rest of a large page */
        wrong += !stores(run_at, other ? 0x50 : 0x20);
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
    apic_enable();
    test_stores_at("stores in place", code, code);
    test_stores_at("stores across a page", code + 4096 - 3, code + 4096 - 3);
    test_stores_at("stores written through another mapping", alias, code);
    test_stores_remapped(page, (uint64_t)code - page);
    mmio_write(APIC_BASE + APIC_TPR, 0);
    test_end();
}
