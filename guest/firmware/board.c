/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/firmware/board.h"

#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>

#define KBC_DATA    0x60
#define KBC_COMMAND 0x64
#define KBC_FULL    0x01
#define KBC_BUSY    0x02
#define PATIENCE    1000000U
#define UART        0x3f8
#define UART_DLAB   0x80
#define PM_ID       0x80000b00U /* configuration space of 01.3 */
#define PM_BASE     0x40
#define NOTHING     0xffffffffU

uint8_t cmos_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

void cmos_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

static uint32_t pci_read(uint32_t address)
{
    outl(0xcf8, address);
    return inl(0xcfc);
}

static void pci_write(uint32_t address, uint32_t value)
{
    outl(0xcf8, address);
    outl(0xcfc, value);
}

static void dump_pics(void)
{
    say("pic.imr.master", inb(0x21));
    say("pic.imr.slave", inb(0xa1));
    outb(0x20, 0x0b);
    outb(0xa0, 0x0b);
    say("pic.isr.master", inb(0x20));
    say("pic.isr.slave", inb(0xa0));
    outb(0x20, 0x0a);
    outb(0xa0, 0x0a);
    say("pic.elcr.master", inb(0x4d0));
    say("pic.elcr.slave", inb(0x4d1));
}

static uint16_t read_count(unsigned channel, bool both_bytes)
{
    outb(0x43, (uint8_t)(channel << 6));
    uint16_t count = inb((uint16_t)(0x40 + channel));

    return both_bytes ? (uint16_t)(count | inb((uint16_t)(0x40 + channel)) << 8) : count;
}

/* One of many looks: a short period may have ended just when there is another. */
static bool counts(unsigned channel, bool both_bytes)
{
    uint16_t first = read_count(channel, both_bytes);
    bool same = true;

    for (unsigned look = 0; look < 32 && same; look++) {
        for (unsigned wait = 0; wait < 20 + look; wait++) { /* some ten ticks */
            (void)inb(0x61);
        }
        same = read_count(channel, both_bytes) == first;
    }
    return !same;
}

/* Control word and NULL COUNT; whether it counts. */
static void dump_pit(void)
{
    for (unsigned i = 0; i < 3; i++) {
        outb(0x43, (uint8_t)(0xe0 | 2U << i));
        uint8_t status = inb((uint16_t)(0x40 + i));

        say_numbered("pit.control", i, status & 0x3f);
        say_numbered("pit.null_count", i, status >> 6 & 1);
        say_numbered("pit.counts", i, counts(i, (status >> 4 & 3) == 3));
    }
    say("pit.port61", inb(0x61) & 0x0f);
}

/* Without what moves by itself: an update in progress, and which interrupts have come due. */
static uint8_t rtc_read(uint8_t index)
{
    uint8_t value = cmos_read(index);

    return index == 0x0a ? value & 0x7f : index == 0x0c ? value & 0x8f : value;
}

static void dump_rtc(void)
{
    static const uint8_t indexes[] = {0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x12,
                                      0x14, 0x15, 0x16, 0x17, 0x18, 0x2d, 0x30, 0x31,
                                      0x34, 0x35, 0x38, 0x3d, 0x5b, 0x5c, 0x5d, 0x5f};

    for (unsigned i = 0; i < sizeof(indexes); i++) {
        say_numbered("rtc", indexes[i], rtc_read(indexes[i]));
    }
}

static void kbc_wait(uint8_t bit, uint8_t wanted)
{
    for (unsigned i = 0; i < PATIENCE && (inb(KBC_COMMAND) & bit) != wanted; i++) {
        cpu_relax();
    }
}

static uint8_t kbc_ask(uint8_t command)
{
    kbc_wait(KBC_BUSY, 0);
    outb(KBC_COMMAND, command);
    kbc_wait(KBC_FULL, KBC_FULL);
    return inb(KBC_DATA);
}

static void kbc_tell(uint8_t command, uint8_t data)
{
    kbc_wait(KBC_BUSY, 0);
    outb(KBC_COMMAND, command);
    kbc_wait(KBC_BUSY, 0);
    outb(KBC_DATA, data);
}

static void dump_kbc(void)
{
    say("kbc.status", inb(KBC_COMMAND));
    say("kbc.mode", kbc_ask(0x20));
    /* The "output full" bits of the port are those of the answer itself. */
    say("kbc.output_port", kbc_ask(0xd0) & 0xcf);
    say("port92", inb(0x92));
}

static void dump_uart(void)
{
    say("uart.ier", inb(UART + 1));
    say("uart.fifo", inb(UART + 2) & 0xc0);
    say("uart.lcr", inb(UART + 3));
    say("uart.mcr", inb(UART + 4));
    say("uart.msr", inb(UART + 6));
    say("uart.scratch", inb(UART + 7));
    uint8_t lcr = inb(UART + 3);

    outb(UART + 3, lcr | UART_DLAB);
    unsigned divisor = inb(UART) | (unsigned)inb(UART + 1) << 8;

    outb(UART + 3, lcr);
    say("uart.divisor", divisor);
}

static void dump_pci(void)
{
    say("pci.address", inl(0xcf8));
    say("reset_control", inb(0xcf9));
    for (unsigned devfn = 0; devfn < 0x100; devfn++) {
        if (pci_read(0x80000000U | devfn << 8) == NOTHING) {
            continue;
        }
        for (unsigned offset = 0; offset < 0x100; offset += 4) {
            printf("state pci.%02x.%x.%02x %x\n", devfn >> 3, devfn & 7, offset,
                   pci_read(0x80000000U | devfn << 8 | offset));
        }
    }
}

static void dump_pm(void)
{
    uint16_t base = (uint16_t)(pci_read(PM_ID | PM_BASE) & 0xffc0);

    say("pm.status", inw(base) & 0xfffe); /* the timer's bit moves by itself */
    say("pm.enable", inw(base + 2));
    say("pm.control", inw(base + 4));
    say("pm.gpe_status", inw(0xafe0));
    say("pm.gpe_enable", inw(0xafe2));
    say("apm.control", inb(0xb2));
    say("apm.status", inb(0xb3));
}

void board_dump(void)
{
    /* The 8259s, and what CF8h holds, first: later reads have their traces there. */
    dump_pics();
    dump_pci();
    dump_pit();
    dump_rtc();
    dump_kbc();
    dump_uart();
    dump_pm();
}

static volatile unsigned vector_taken;

static void handle(struct guest_frame *frame)
{
    vector_taken = (unsigned)frame->vector;
    (void)inb(KBC_DATA);
    (void)cmos_read(0x0c);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

/* The vector of the interrupt that a mask lets through; a BIOS's 08h..0Fh look like exceptions. */
static unsigned vector_behind(uint8_t master, uint8_t slave)
{
    vector_taken = 0;
    outb(0x21, master);
    outb(0xa1, slave);
    irq_enable();
    for (unsigned i = 0; i < PATIENCE && !vector_taken; i++) {
        cpu_relax();
    }
    irq_disable();
    outb(0x21, 0xff);
    return vector_taken;
}

void board_dump_vectors(void)
{
    interrupt_set_handler(0x09, handle); /* no error code there */
    for (unsigned vector = 0x20; vector < 0x100; vector++) {
        interrupt_set_handler(vector, handle);
    }
    kbc_tell(0xd2, 0x1e); /* a byte as if from the keyboard: IRQ 1 */
    say("pic.vector.irq1", vector_behind(0xfd, 0xff));
    uint8_t b = cmos_read(0x0b);

    (void)cmos_read(0x0c);
    cmos_write(0x0b, b | 0x40);
    say("pic.vector.irq8", vector_behind(0xfb, 0xfe));
    cmos_write(0x0b, b);
}

void board_disturb(void)
{
    outb(0x20, 0x11);
    outb(0x21, 0x50);
    outb(0x21, 0x04);
    outb(0x21, 0x03);
    outb(0x21, 0x5a);
    outb(0xa0, 0x11);
    outb(0xa1, 0x58);
    outb(0xa1, 0x02);
    outb(0xa1, 0x03);
    outb(0xa1, 0xa5);
    outb(0x4d0, 0xf8);
    outb(0x4d1, 0);
    for (unsigned i = 0; i < 3; i++) {
        outb(0x43, (uint8_t)(i << 6 | 0x30));
        outb((uint16_t)(0x40 + i), 0xff);
        outb((uint16_t)(0x40 + i), 0xff);
    }
    outb(0x61, 0x03);
    cmos_write(0x0b, cmos_read(0x0b) | 0x70);
    cmos_write(0x0a, 0x7f); /* the divider stands still */
    outb(0x70, 0x8d);       /* and NMIs are masked */
    kbc_tell(0x60, 0x30);
    outb(UART + 1, 0x0f);
    outb(UART + 2, 0xc7);
    outb(UART + 4, 0x0b);
    outb(UART + 7, 0x77);
    pci_write(0x80000860U, 0x05050505); /* PIRQ routes */
    uint16_t base = (uint16_t)(pci_read(PM_ID | PM_BASE) & 0xffc0);

    outw(base + 2, 0x0521);
    pci_write(PM_ID | PM_BASE, 0x5001);
    ioapic_route(9, APIC_LVT_MASKED | 0x99, 1);
    apic_enable();
    apic_write(APIC_TPR, 0x30);
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | APIC_LVT_MASKED | 0x40);
    apic_write(APIC_TIMER_INITIAL, 1000000);
    wrmsr(0x277, 0x0606060606060606);
    wrmsr(0x2ff, 0);
    wrmsr(0x200, 0);
    wrmsr(0x250, 0);
}
