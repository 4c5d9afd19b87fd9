/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two 8259A interrupt controllers, as the PIT's IRQ 0 and the RTC's IRQ 8 drive them: masks,
 * IRR and ISR, priorities, cascade, EOI forms, automatic EOI, spurious interrupts, poll mode.
 */
#include "guest/lib/guest.h"

#define MASTER      0x20
#define SLAVE       0xa0
#define PIT_CH0     0x40
#define PIT_COMMAND 0x43
#define RTC_INDEX   0x70
#define RTC_DATA    0x71
#define VECTORS     0x20

#define OCW2_EOI          0x20
#define OCW2_SPECIFIC_EOI 0x60
#define OCW3_READ_IRR     0x0a
#define OCW3_READ_ISR     0x0b
#define OCW3_POLL         0x0c

static volatile unsigned seen[16], last;

static uint8_t pic_irr(uint16_t port)
{
    outb(port, OCW3_READ_IRR);
    return inb(port);
}

static uint8_t pic_isr(uint16_t port)
{
    outb(port, OCW3_READ_ISR);
    return inb(port);
}

static void pic_setup(uint8_t icw4, uint8_t master_mask, uint8_t slave_mask)
{
    outb(MASTER, 0x11);
    outb(MASTER + 1, VECTORS);
    outb(MASTER + 1, 0x04);
    outb(MASTER + 1, icw4);
    outb(SLAVE, 0x11);
    outb(SLAVE + 1, VECTORS + 8);
    outb(SLAVE + 1, 0x02);
    outb(SLAVE + 1, 0x01);
    outb(MASTER + 1, master_mask);
    outb(SLAVE + 1, slave_mask);
}

/* One pulse on IRQ 0: the PIT's mode 0 ends with its output high. */
static void irq0_raise(void)
{
    outb(PIT_COMMAND, 0x30);
    outb(PIT_CH0, 20);
    outb(PIT_CH0, 0);
    while (!(pic_irr(MASTER) & 1)) {
        cpu_relax();
    }
}

static void irq0_lower(void)
{
    outb(PIT_COMMAND, 0x30); /* mode 0 without a count: output low */
}

static uint8_t rtc_read(uint8_t index)
{
    outb(RTC_INDEX, index);
    return inb(RTC_DATA);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    outb(RTC_INDEX, index);
    outb(RTC_DATA, value);
}

static void irq8_start(void)
{
    rtc_write(0x0a, 0x26); /* 1024 Hz */
    rtc_write(0x0b, 0x42); /* periodic interrupt, 24 hours */
    (void)rtc_read(0x0c);
}

static void irq8_stop(void)
{
    rtc_write(0x0b, 0x02);
    (void)rtc_read(0x0c);
}

static void handle(struct guest_frame *frame)
{
    last = (unsigned)frame->vector - VECTORS;
    seen[last]++;
    if (last == 8) {
        (void)rtc_read(0x0c);
        outb(SLAVE, OCW2_EOI);
        outb(MASTER, OCW2_EOI);
    } else if (last == 0) {
        irq0_lower();
        outb(MASTER, OCW2_EOI);
    }
}

static void seen_clear(void)
{
    for (unsigned i = 0; i < 16; i++) {
        seen[i] = 0;
    }
}

static void test_masks(void)
{
    test_group("masks are kept, and hold an interrupt back");
    pic_setup(0x01, 0xff, 0xff);
    outb(MASTER + 1, 0x5a);
    CHECK_EQUAL(inb(MASTER + 1), 0x5a);
    outb(MASTER + 1, 0xff);
    CHECK_EQUAL(inb(SLAVE + 1), 0xff);

    seen_clear();
    irq0_raise();
    irq_enable();
    for (unsigned i = 0; i < 1000; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK_EQUAL(seen[0], 0);
    CHECK_EQUAL(pic_irr(MASTER) & 1, 1);
    outb(MASTER + 1, 0xfe);
    irq_wait();
    CHECK_EQUAL(seen[0], 1);
    CHECK_EQUAL(pic_irr(MASTER) & 1, 0);
    CHECK_EQUAL(pic_isr(MASTER), 0);
    outb(MASTER + 1, 0xff);
}

static void handle_without_eoi(struct guest_frame *frame)
{
    seen[0]++;
    irq0_lower();
}

static void test_eoi(void)
{
    test_group("in service until the EOI, and blocking itself");
    pic_setup(0x01, 0xfe, 0xff);
    seen_clear();
    interrupt_set_handler(VECTORS, handle_without_eoi);
    irq0_raise();
    irq_wait();
    CHECK_EQUAL(seen[0], 1);
    CHECK_EQUAL(pic_isr(MASTER), 1);
    irq0_raise();
    irq_enable();
    for (unsigned i = 0; i < 1000; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK_EQUAL(seen[0], 1);
    outb(MASTER, OCW2_SPECIFIC_EOI | 0);
    CHECK_EQUAL(pic_isr(MASTER), 0);
    irq_wait();
    CHECK_EQUAL(seen[0], 2);
    outb(MASTER, OCW2_EOI);
    CHECK_EQUAL(pic_isr(MASTER), 0);

    test_group("automatic EOI");
    pic_setup(0x03, 0xfe, 0xff);
    irq0_raise();
    irq_wait();
    CHECK_EQUAL(seen[0], 3);
    CHECK_EQUAL(pic_isr(MASTER), 0);
    interrupt_set_handler(VECTORS, handle);
}

static void test_cascade(void)
{
    test_group("IRQ 8 through the cascade");
    pic_setup(0x01, 0xfb, 0xfe);
    seen_clear();
    irq8_start();
    for (unsigned i = 0; i < 3; i++) {
        irq_wait();
    }
    irq8_stop();
    CHECK(seen[8] >= 3);
    CHECK_EQUAL(pic_isr(MASTER), 0);
    CHECK_EQUAL(pic_isr(SLAVE), 0);

    test_group("IRQ 0 before IRQ 8");
    pic_setup(0x01, 0xff, 0xfe);
    irq8_start();
    while (!(pic_irr(SLAVE) & 1)) {
        cpu_relax();
    }
    irq0_raise();
    seen_clear();
    outb(MASTER + 1, 0xfa);
    irq_enable();
    while (!seen[8]) {
        cpu_relax();
    }
    irq_disable();
    irq8_stop();
    CHECK_EQUAL(seen[0], 1);
    CHECK_EQUAL(last, 8);
}

static void test_poll(void)
{
    test_group("poll mode acknowledges");
    pic_setup(0x01, 0xfe, 0xff);
    irq0_raise();
    outb(MASTER, OCW3_POLL);
    CHECK_EQUAL(inb(MASTER), 0x80);
    CHECK_EQUAL(pic_isr(MASTER), 1);
    irq0_lower();
    outb(MASTER, OCW2_EOI);
    outb(MASTER, OCW3_POLL);
    CHECK_EQUAL(inb(MASTER) & 0x80, 0);
    outb(MASTER + 1, 0xff);
}

static void test_elcr(void)
{
    test_group("ELCR: IRQ 0, 1, 2, 8 and 13 are edges for ever");
    outb(0x4d0, 0xff);
    outb(0x4d1, 0xff);
    CHECK_EQUAL(inb(0x4d0), 0xf8);
    CHECK_EQUAL(inb(0x4d1), 0xde);
    outb(0x4d0, 0);
    outb(0x4d1, 0);
}

int main(void)
{
    for (unsigned irq = 0; irq < 16; irq++) {
        interrupt_set_handler(VECTORS + irq, handle);
    }
    test_masks();
    test_eoi();
    test_cascade();
    test_poll();
    test_elcr();
    test_end();
}
