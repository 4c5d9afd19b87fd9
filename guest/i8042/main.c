/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyboard controller, its keyboard, and port 92h: what firmware and old kernels ask of them
 * when they start. Resets through them are tested by guest 'reset'.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define DATA        0x60
#define STATUS      0x64
#define COMMAND     0x64
#define FAST        0x92
#define FULL        0x01
#define INPUT_FULL  0x02
#define SYSTEM      0x04
#define ACK         0xfa
#define PASSED      0xaa
#define RESEND      0xfe
#define PATIENCE    100000U
#define NOTHING     0x1ff
#define PIC_VECTORS 0x20
#define KBD_IRQ     1

static volatile unsigned taken;
static volatile uint8_t taken_byte;
static bool lenient;

static void handle(struct guest_frame *frame)
{
    taken++;
    taken_byte = inb(DATA);
    outb(0x20, 0x20);
}

static void input_wait(void)
{
    for (unsigned i = 0; i < PATIENCE && (inb(STATUS) & INPUT_FULL); i++) {
        cpu_relax();
    }
}

static void command(uint8_t value)
{
    input_wait();
    outb(COMMAND, value);
}

static void data(uint8_t value)
{
    input_wait();
    outb(DATA, value);
}

/* The next byte, or NOTHING. */
static unsigned reply(void)
{
    for (unsigned i = 0; i < PATIENCE / 10; i++) {
        if (inb(STATUS) & FULL) {
            return inb(DATA);
        }
    }
    return NOTHING;
}

static void drain(void)
{
    while (reply() != NOTHING) {
        /* old bytes */
    }
}

static uint8_t command_byte(void)
{
    command(0x20);
    return (uint8_t)reply();
}

static void command_byte_set(uint8_t value)
{
    command(0x60);
    data(value);
}

static void test_controller(void)
{
    test_group("controller: self test, interface test, command byte");
    drain();
    command(0xad);
    command(0xaa);
    CHECK_EQUAL(reply(), 0x55);
    CHECK_EQUAL(inb(STATUS) & SYSTEM, SYSTEM);
    command(0xab);
    CHECK_EQUAL(reply(), 0x00);
    uint8_t before = command_byte();

    command_byte_set(0x70 & ~0x20);
    CHECK_EQUAL(command_byte() & 0x7f, 0x50);
    command_byte_set(0x44);
    CHECK_EQUAL(command_byte() & 0x7f, 0x44);
    command(0xad); /* disables the keyboard: bit 4 */
    CHECK_EQUAL(command_byte() & 0x10, 0x10);
    command(0xae);
    CHECK_EQUAL(command_byte() & 0x10, 0);
    command_byte_set(before);

    test_group("controller: a byte put into its output");
    command(0xd2);
    data(0x5b);
    CHECK_EQUAL(reply(), 0x5b);
    CHECK_EQUAL(inb(STATUS) & FULL, 0);
}

static void test_keyboard(void)
{
    command_byte_set(0x04); /* no translation, no interrupts */
    drain();
    test_group("keyboard: reset, identify, and settings");
    data(0xff);
    CHECK_EQUAL(reply(), ACK);
    CHECK_EQUAL(reply(), PASSED);
    data(0xf2);
    CHECK_EQUAL(reply(), ACK);
    CHECK_EQUAL(reply(), 0xab);
    CHECK_EQUAL(reply(), 0x83);
    data(0xee);
    CHECK_EQUAL(reply(), 0xee);
    data(0xf5);
    CHECK_EQUAL(reply(), ACK);
    data(0xed);
    CHECK_EQUAL(reply(), ACK);
    data(0x02);
    CHECK_EQUAL(reply(), ACK);
    data(0xf3);
    CHECK_EQUAL(reply(), ACK);
    data(0x2b);
    CHECK_EQUAL(reply(), ACK);
    data(0xf0);
    CHECK_EQUAL(reply(), ACK);
    data(0x00); /* which set? */
    CHECK_EQUAL(reply(), ACK);
    CHECK_EQUAL(reply(), 0x02);
    data(0xf4);
    CHECK_EQUAL(reply(), ACK);
    CHECK_EQUAL(reply(), NOTHING);
}

static void test_mouse(void)
{
    drain();
    test_group("no mouse: it does not acknowledge");
    if (lenient) {
        printf("skipped: QEMU's 'pc' has a mouse\n");
        return;
    }
    command(0xd4);
    data(0xff);
    unsigned first = reply();

    CHECK(first == NOTHING || first == RESEND);
    CHECK_EQUAL(reply(), NOTHING);
}

static void test_a20(void)
{
    test_group("A20: port 92h and the output port");
    uint8_t before = inb(FAST);

    outb(FAST, (uint8_t)((before | 2) & ~1));
    CHECK_EQUAL(inb(FAST) & 3, 2);
    command(0xd0);
    CHECK_EQUAL(reply() & 3, 3); /* A20 on, and no reset */
    command(0xd1);
    data(0xdf);
    command(0xd0);
    CHECK_EQUAL(reply() & 3, 3);
    if (lenient) {
        printf("skipped: A20 off: QEMU takes the odd megabytes away then\n");
        return;
    }
    outb(FAST, (uint8_t)(before & ~3));
    CHECK_EQUAL(inb(FAST) & 3, 0);
    outb(FAST, (uint8_t)((before | 2) & ~1));
    CHECK_EQUAL(inb(FAST) & 3, 2);
    command(0xdd);
    command(0xd0);
    CHECK_EQUAL(reply() & 3, 1);
    command(0xdf);
    command(0xd0);
    CHECK_EQUAL(reply() & 3, 3);
}

static void test_interrupt(void)
{
    test_group("a reply interrupts on IRQ 1 when the command byte says so");
    drain();
    outb(0x20, 0x11);
    outb(0x21, PIC_VECTORS);
    outb(0x21, 0x04);
    outb(0x21, 0x01);
    outb(0x21, (uint8_t) ~(1 << KBD_IRQ));
    outb(0xa1, 0xff);
    interrupt_set_handler(PIC_VECTORS + KBD_IRQ, handle);
    command_byte_set(0x05);
    data(0xee);
    irq_enable();
    for (unsigned i = 0; i < PATIENCE && !taken; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK_EQUAL(taken, 1);
    CHECK_EQUAL(taken_byte, 0xee);
    command_byte_set(0x04);
    data(0xee);
    irq_enable();
    for (unsigned i = 0; i < PATIENCE / 10; i++) {
        cpu_relax();
    }
    irq_disable();
    CHECK_EQUAL(taken, 1);
    CHECK_EQUAL(reply(), 0xee);
}

int main(void)
{
    lenient = strstr(guest_command_line(), "lenient") != NULL;
    test_controller();
    test_keyboard();
    test_mouse();
    test_a20();
    test_interrupt();
    test_end();
}
