/* SPDX-License-Identifier: BSD-2-Clause */
/* A tick for those who wait asleep. */
#include "guest/lib/guest.h"

#define PIC_COMMAND 0x20
#define PIC_MASK    0x21
#define PIC_EOI     0x20
#define PIT_CHANNEL 0x40
#define PIT_COMMAND 0x43
#define PIT_RATE    0x34 /* channel 0, low byte and high byte, mode 2 */
#define PIT_HZ      1193182U
#define TICK_HZ     100U

static void handle(struct guest_frame *frame)
{
    outb(PIC_COMMAND, PIC_EOI);
}

void tick_start(unsigned vector)
{
    interrupt_set_handler(vector, handle);
    outb(PIT_COMMAND, PIT_RATE);
    outb(PIT_CHANNEL, (uint8_t)(PIT_HZ / TICK_HZ));
    outb(PIT_CHANNEL, (uint8_t)(PIT_HZ / TICK_HZ >> 8));
    outb(PIC_MASK, inb(PIC_MASK) & 0xfe);
}
