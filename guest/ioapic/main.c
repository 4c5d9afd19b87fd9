/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IOAPIC: registers, the PIT's edges on pin 2, masks, vectors, and the RTC's interrupt as a
 * level with its remote IRR.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#define PIT_PIN    2
#define RTC_PIN    8
#define VECTOR_PIT 0x51
#define VECTOR_RTC 0x71
#define LEVEL      (1U << 15)
#define REMOTE_IRR (1U << 14)
#define IOAPIC_VER 1

static volatile unsigned count[256];

static void handle_pit(struct guest_frame *frame)
{
    count[frame->vector]++;
    apic_write(APIC_EOI, 0);
}

static uint8_t rtc_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

static void test_registers(void)
{
    test_group("version and redirection entries");
    uint32_t version = ioapic_read(IOAPIC_VER);

    CHECK_EQUAL(version >> 16 & 0xff, 23);
    CHECK((version & 0xff) >= 0x11);
    for (unsigned pin = 0; pin < 24; pin++) {
        CHECK(ioapic_read(0x10 + 2 * pin) & APIC_LVT_MASKED);
        ioapic_route(pin, APIC_LVT_MASKED | LEVEL | (0x40 + pin), 5);
        CHECK_EQUAL(ioapic_read(0x10 + 2 * pin), APIC_LVT_MASKED | LEVEL | (0x40 + pin));
        CHECK_EQUAL(ioapic_read(0x11 + 2 * pin), 5U << 24);
        ioapic_route(pin, APIC_LVT_MASKED, 0);
    }
}

static void pit_periodic(unsigned divisor)
{
    outb(0x43, 0x34);
    outb(0x40, (uint8_t)divisor);
    outb(0x40, (uint8_t)(divisor >> 8));
}

static void test_edges(void)
{
    test_group("edges of the PIT");
    ioapic_route(PIT_PIN, VECTOR_PIT, 0);
    pit_periodic(2000);
    while (count[VECTOR_PIT] < 5) {
        irq_wait();
    }
    ioapic_route(PIT_PIN, APIC_LVT_MASKED | VECTOR_PIT, 0);
    unsigned now = count[VECTOR_PIT];

    irq_enable();
    for (unsigned i = 0; i < 100000; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK(count[VECTOR_PIT] <= now + 1);
    outb(0x43, 0x30); /* silence */
}

static void handle_rtc(struct guest_frame *frame)
{
    count[frame->vector]++;
    if (count[frame->vector] == 1) {
        CHECK(ioapic_read(0x10 + 2 * RTC_PIN) & REMOTE_IRR);
        apic_write(APIC_EOI, 0); /* the line is still high: it must come again */
        return;
    }
    (void)rtc_read(0x0c);
    apic_write(APIC_EOI, 0);
}

static void test_level(void)
{
    test_group("a level is delivered again until its cause is gone");
    interrupt_set_handler(VECTOR_RTC, handle_rtc);
    rtc_write(0x0a, 0x2f); /* 2 Hz */
    (void)rtc_read(0x0c);
    ioapic_route(RTC_PIN, LEVEL | VECTOR_RTC, 0);
    rtc_write(0x0b, 0x42);
    irq_wait();
    while (count[VECTOR_RTC] < 2) {
        irq_wait();
    }
    CHECK_EQUAL(count[VECTOR_RTC], 2);
    CHECK_EQUAL(ioapic_read(0x10 + 2 * RTC_PIN) & REMOTE_IRR, 0);
    rtc_write(0x0b, 0x02);
    ioapic_route(RTC_PIN, APIC_LVT_MASKED, 0);
}

int main(void)
{
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_PIT, handle_pit);
    test_registers();
    test_edges();
    test_level();
    test_end();
}
