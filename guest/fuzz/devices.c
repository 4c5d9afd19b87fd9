/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequences of accesses that mean something to a device, with random values in them. */
#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#define UART          0x3f8
#define PIT_PIN       2
#define PCI_ADDRESS   0xcf8
#define PCI_DATA      0xcfc
#define PCI_PM        11 /* device and function of the PM function: 1.3 */
#define MODE_NMI      (4U << 8)
#define MODE_MASK     0x700U
#define CMOS_FREE     0x60 /* RAM that no firmware looks at, 16 bytes of it */
#define CMOS_FREE_LEN 16

uint8_t fuzz_cmos_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

void fuzz_cmos_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

void fuzz_console_on(void)
{
    outb(UART + 4, 0x10);
    outb(UART + 3, 0x80);
    outb(UART, 1);
    outb(UART + 1, 0);
    outb(UART + 3, 0x03);
    outb(UART + 1, 0);
    outb(UART + 2, 0x07);
    outb(UART + 4, 0x03);
}

void fuzz_console_off(void)
{
    outb(UART + 4, 0x10);
}

static void pic_init(uint8_t mask)
{
    outb(0x20, 0x11);
    outb(0x21, 0x20);
    outb(0x21, 0x04);
    outb(0x21, 0x01);
    outb(0xa0, 0x11);
    outb(0xa1, 0x28);
    outb(0xa1, 0x02);
    outb(0xa1, 0x01);
    outb(0x21, mask);
    outb(0xa1, mask);
}

void fuzz_watchdog_arm(void)
{
    if (fuzz_state->armed) {
        return; /* each of the writes below is an exit */
    }
    pic_init(0xff);
    outb(0x43, 0x34);
    outb(0x40, (uint8_t)PIT_PERIOD);
    outb(0x40, PIT_PERIOD >> 8);
    apic_write(APIC_ID, 0);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, 0x1ff);
    ioapic_route(PIT_PIN, MODE_NMI, 0);
}

/* The clock's registers, and RAM; the progress, and what firmware acts on, is left alone. */
static void do_cmos(void)
{
    bool clock = fuzz_one_in(2);
    uint8_t index = (uint8_t)(clock ? fuzz_below(14) : CMOS_FREE + fuzz_below(CMOS_FREE_LEN));

    if (fuzz_one_in(2)) {
        (void)fuzz_cmos_read((uint8_t)(index | fuzz_below(2) << 7));
    } else if (fuzz_one_in(2)) {
        outw(0x70, (uint16_t)(fuzz_below(256) << 8 | index));
    } else {
        fuzz_cmos_write(index, (uint8_t)fuzz_random());
    }
}

/* Would it move the block with the sleep register, or is it a device of whoever tests us? */
static bool pci_write_allowed(unsigned function, unsigned reg)
{
    if (function == PCI_PM && ((reg & 0xfc) == 0x40 || (reg & 0xfc) == 0x80)) {
        return false;
    }
    return function < 2 || function == 8 || function == PCI_PM || function >= 0x80;
}

static void do_pci(void)
{
    unsigned function = fuzz_one_in(4) ? fuzz_below(256) : fuzz_below(16), reg = fuzz_below(256);
    uint16_t port = (uint16_t)(PCI_DATA + fuzz_below(4));
    uint32_t value = (uint32_t)fuzz_value();
    bool write = fuzz_one_in(2) && pci_write_allowed(function, reg);

    outl(PCI_ADDRESS, (fuzz_below(16) ? 1U << 31 : 0) | function << 8 | (reg & 0xfc));
    switch (fuzz_below(3)) {
    case 0:
        if (write) {
            outb(port, (uint8_t)value);
        } else {
            (void)inb(port);
        }
        break;
    case 1:
        port &= (uint16_t)~1U;
        if (write) {
            outw(port, (uint16_t)value);
        } else {
            (void)inw(port);
        }
        break;
    default:
        if (write) {
            outl(PCI_DATA, value);
        } else {
            (void)inl(PCI_DATA);
        }
    }
}

static void do_keyboard(void)
{
    static const uint8_t commands[] = {0x20, 0x21, 0x60, 0x61, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
                                       0xad, 0xae, 0xc0, 0xd0, 0xd2, 0xd3, 0xd4, 0xdd, 0xdf};

    switch (fuzz_below(4)) {
    case 0:
        outb(0x64, commands[fuzz_below(sizeof(commands) - (fuzz_state->lenient ? 2 : 0))]);
        break;
    case 1: /* the output port; its bit 0 is the reset line, bit 1 the A20 gate */
        outb(0x64, 0xd1);
        outb(0x60, (uint8_t)(fuzz_random() | (fuzz_state->lenient ? 3 : 1)));
        break;
    case 2:
        outb(0x60, (uint8_t)fuzz_random());
        break;
    default:
        (void)inb(0x64);
        (void)inb(0x60);
    }
}

static void do_timer(void)
{
    bool lenient = fuzz_state->lenient; /* then channel 2 alone: see byte_allowed() */
    unsigned channel = lenient ? 2 : fuzz_below(3);

    outb(0x43, (uint8_t)(fuzz_random() | (lenient ? 0x80 : 0)));
    outb((uint16_t)(0x40 + channel), (uint8_t)fuzz_value());
    (void)inb((uint16_t)(0x40 + channel));
    outb(0x61, (uint8_t)fuzz_below(4));
}

static void do_interrupt_controllers(void)
{
    unsigned pin = fuzz_below(24);
    uint32_t entry = (uint32_t)fuzz_value() & ~MODE_MASK;

    switch (fuzz_below(4)) {
    case 0:
        pic_init((uint8_t)fuzz_random());
        outb(fuzz_one_in(2) ? 0x20 : 0xa0, (uint8_t)fuzz_random());
        break;
    case 1:
        ioapic_route(pin, entry, fuzz_one_in(2) ? 0 : fuzz_below(256));
        break;
    case 2:
        apic_write(APIC_LVT_TIMER, entry & (fuzz_state->lenient ? 0x100ff : 0x700ff));
        apic_write(APIC_TIMER_DIVIDE, fuzz_below(16));
        apic_write(APIC_TIMER_INITIAL, (uint32_t)fuzz_value());
        break;
    default:
        apic_write(APIC_ICR_HIGH, (uint32_t)fuzz_value());
        apic_write(APIC_ICR, entry);
        apic_write(APIC_EOI, 0);
    }
}

/* In loop-back mode, where the receiver and the interrupts come alive. */
static void do_uart(void)
{
    uint16_t reg = (uint16_t)fuzz_below(8);

    if (reg == 4) {
        outb(UART + 4, (uint8_t)(fuzz_random() | 0x10));
    } else if (fuzz_one_in(2)) {
        outb(UART + reg, (uint8_t)fuzz_random());
    } else {
        (void)inb(UART + reg);
    }
}

static void do_fw_cfg(void)
{
    outw(0x510, (uint16_t)(fuzz_one_in(2) ? fuzz_below(64) : fuzz_value()));
    for (unsigned i = 0; i < 8; i++) {
        (void)inb(0x511);
    }
    (void)inl(0x511);
}

static void do_power(void)
{
    uint16_t port = (uint16_t)(0x600 + 2 * fuzz_below(4));

    if (port == 0x604) { /* PM1 control without its sleep bit */
        outw(port, (uint16_t)(fuzz_random() & 0xdfff));
    } else {
        outw(port, (uint16_t)fuzz_random());
    }
    (void)inl(0x608);
}

void fuzz_run_devices(void)
{
    static void (*const sequences[])(void) = {
        do_cmos, do_pci,    do_keyboard, do_timer, do_interrupt_controllers,
        do_uart, do_fw_cfg, do_power,
    };

    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        sequences[fuzz_below(sizeof(sequences) / sizeof(sequences[0]))]();
    }
}
