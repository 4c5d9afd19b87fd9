/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NMI watchdog of old kernels in its I/O APIC mode: IRQ 0 alone is unmasked at the 8259s, LINT0
 * is an NMI, and nobody acknowledges. Each tick makes an NMI, on every CPU that asks for it.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/smp.h"

#include <stdio.h>

#define VECTORS     0x20
#define VECTOR_NMI  2
#define LVT_NMI     (4U << 8)
#define PIT_COMMAND 0x43
#define PIT_CH0     0x40
#define TICK        11932 /* 100 Hz */
#define TICKS       10
#define SECONDS_MAX 60

static volatile unsigned nmis[SMP_CPUS_MAX];
static volatile bool done;

static void handle_nmi(struct guest_frame *frame)
{
    nmis[smp_index()]++;
}

static void pic_setup(void)
{
    outb(0x20, 0x11);
    outb(0x21, VECTORS);
    outb(0x21, 0x04);
    outb(0x21, 0x01);
    outb(0xa0, 0x11);
    outb(0xa1, VECTORS + 8);
    outb(0xa1, 0x02);
    outb(0xa1, 0x01);
    outb(0x21, 0xfe);
    outb(0xa1, 0xff);
}

static void pit_start(uint8_t mode)
{
    outb(PIT_COMMAND, (uint8_t)(0x30 | mode << 1));
    outb(PIT_CH0, TICK & 0xff);
    outb(PIT_CH0, TICK >> 8);
}

static uint8_t rtc_second(void)
{
    outb(0x70, 0);
    return inb(0x71);
}

/* Until WANTED NMIs came, or SECONDS have passed. */
static bool await(const volatile unsigned *count, unsigned wanted, unsigned seconds)
{
    uint8_t second = rtc_second();

    while (*count < wanted && seconds > 0) {
        uint8_t now = rtc_second();

        seconds -= now != second;
        second = now;
    }
    return *count >= wanted;
}

static void watch(unsigned index)
{
    apic_write(APIC_LVT_LINT0, LVT_NMI);
    while (!done) {
        cpu_relax();
    }
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
}

static void test_mode(uint8_t mode)
{
    pit_start(mode);
    for (unsigned cpu = 0; cpu < SMP_CPUS_MAX; cpu++) {
        nmis[cpu] = 0;
    }
    CHECK(await(&nmis[0], TICKS, SECONDS_MAX));
    if (smp_cpu_count() > 1) {
        CHECK(await(&nmis[1], TICKS, SECONDS_MAX));
    }
    outb(0x20, 0x0b);
    CHECK_EQUAL(inb(0x20), 0); /* nothing is in service: nobody acknowledged */
}

int main(void)
{
    interrupt_set_handler(VECTOR_NMI, handle_nmi);
    apic_enable();
    pic_setup();
    apic_write(APIC_LVT_LINT0, LVT_NMI);
    if (smp_cpu_count() > 1) {
        CHECK(smp_start(1, watch));
    }
    test_group("an NMI for each tick, the 8254 in mode 2");
    test_mode(2);
    test_group("and in mode 3");
    test_mode(3);

    test_group("masked at the 8259, it is silent");
    outb(0x21, 0xff);
    unsigned before = nmis[0];

    CHECK(!await(&nmis[0], before + 2, 1)); /* one may have been under way */
    done = true;
    while (smp_cpu_count() > 1 && !smp_finished(1)) {
        cpu_relax();
    }
    test_end();
}
