/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports: any, of any width, single and as strings. */
#include "guest/fuzz/fuzz.h"

#define STRING_MAX 32

static const struct {
    uint16_t first, count;
} devices[] = {
    {0x00,   0x20}, /* DMA */
    {0x20,   2   }, /* 8259 */
    {0x40,   4   }, /* 8254 */
    {0x60,   5   }, /* 8042, port 61h */
    {0x70,   4   }, /* CMOS */
    {0x80,   0x10},
    {0x92,   1   },
    {0xa0,   2   },
    {0xb2,   2   },
    {0xc0,   0x20},
    {0xe9,   8   },
    {0x1f0,  8   }, /* a disk that is not there */
    {0x2f8,  8   },
    {0x378,  4   },
    {0x3c0,  0x20}, /* VGA */
    {0x3f0,  16  }, /* floppy, UART */
    {0x4d0,  2   }, /* ELCR */
    {0x510,  12  }, /* fw_cfg */
    {0x600,  0x40}, /* PM */
    {0x700,  0x10}, /* SMBus */
    {0xcf8,  8   }, /* PCI */
    {0xc000, 0x40},
    {0xfff8, 8   },
};

static uint8_t buffer[STRING_MAX * 4];

static uint16_t port_choose(void)
{
    if (fuzz_one_in(6)) {
        return (uint16_t)fuzz_random();
    }
    unsigned i = fuzz_below(sizeof(devices) / sizeof(devices[0]));

    return (uint16_t)(devices[i].first + fuzz_below(devices[i].count));
}

void fuzz_port_read(uint16_t port, unsigned width)
{
    if (width == 1) {
        (void)inb(port);
    } else if (width == 2) {
        (void)inw(port);
    } else {
        (void)inl(port);
    }
}

void fuzz_port_write(uint16_t port, unsigned width, uint32_t value)
{
    if (width == 1) {
        outb(port, (uint8_t)value);
    } else if (width == 2) {
        outw(port, (uint16_t)value);
    } else {
        outl(port, value);
    }
}

static void string_read(uint16_t port, unsigned width, uint64_t count)
{
    void *at = buffer;

    if (width == 1) {
        __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    } else if (width == 2) {
        __asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    } else {
        __asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    }
}

/* Every element is the same allowed value. */
static void string_write(uint16_t port, unsigned width, uint64_t count, uint32_t value)
{
    const void *at = buffer;

    for (unsigned i = 0; i < sizeof(buffer); i++) {
        buffer[i] = (uint8_t)(value >> i % width * 8);
    }
    if (width == 1) {
        __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
    } else if (width == 2) {
        __asm__ volatile("rep outsw" : "+S"(at), "+c"(count) : "d"(port) : "memory");
    } else {
        __asm__ volatile("rep outsl" : "+S"(at), "+c"(count) : "d"(port) : "memory");
    }
}

void fuzz_run_ports(void)
{
    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        uint16_t port = port_choose();
        unsigned width = 1U << fuzz_below(3);
        uint32_t value = (uint32_t)fuzz_value();
        bool write = (fuzz_random() >> 32 & 1) && fuzz_port_write_allowed(port, width, value);
        bool string = fuzz_one_in(16);

        if (string && write) {
            string_write(port, width, fuzz_below(STRING_MAX), value);
        } else if (write) {
            fuzz_port_write(port, width, value);
        } else if (!fuzz_port_read_allowed(port, width)) {
            (void)inb(port);
        } else if (string) {
            string_read(port, width, fuzz_below(STRING_MAX));
        } else {
            fuzz_port_read(port, width);
        }
    }
}
