/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that asks for as much work as it can with as few instructions as it can, for ever: REP
 * OUTS of a page, to what the command line says.
 *
 *   i8042, cf9, exit  a reset, a reset, and the debug exit, by every byte
 *   uart              text, without a look at the line status
 *   msix              MSI-X of the virtio function in slot 2, off and on by every double word
 *   status            a reset of that function, by every byte
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define PCI_ADDRESS   0xcf8
#define PCI_DATA      0xcfc
#define FUNCTION      0x80001000U /* slot 2 */
#define COMMAND_AT    0x04
#define BAR0_AT       0x10
#define MSIX_AT       0x40
#define MSIX_ON       0x80000000U
#define VIRTIO_STATUS 18
#define PAGE          4096U

static union {
    uint8_t byte[PAGE];
    uint32_t word[PAGE / 4];
} page __attribute__((aligned(PAGE)));

static void fill(uint32_t even, uint32_t odd)
{
    for (unsigned i = 0; i < PAGE / 4; i++) {
        page.word[i] = i % 2 == 0 ? even : odd;
    }
}

static void flood_bytes(uint16_t port)
{
    for (;;) {
        const void *from = page.byte;
        uint64_t count = PAGE;

        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
    }
}

static void flood_words(uint16_t port)
{
    for (;;) {
        const void *from = page.byte;
        uint64_t count = PAGE / 4;

        __asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
    }
}

static uint32_t config_read(uint32_t at)
{
    outl(PCI_ADDRESS, FUNCTION | at);
    return inl(PCI_DATA);
}

static void flood_text(void)
{
    for (unsigned i = 0; i < PAGE; i++) {
        page.byte[i] = (uint8_t)(i % 64 == 63 ? '\n' : 'a' + i % 26);
    }
    flood_bytes(0x3f8);
}

static void flood_msix(void)
{
    uint32_t off = config_read(MSIX_AT) & ~MSIX_ON;

    fill(off | MSIX_ON, off);
    outl(PCI_ADDRESS, FUNCTION | MSIX_AT);
    flood_words(PCI_DATA);
}

static void flood_status(void)
{
    uint16_t base = (uint16_t)(config_read(BAR0_AT) & ~3U);

    outl(PCI_ADDRESS, FUNCTION | COMMAND_AT);
    outw(PCI_DATA, 7);
    fill(0, 0);
    flood_bytes((uint16_t)(base + VIRTIO_STATUS));
}

int main(void)
{
    const char *what = guest_command_line();

    pic_mask_all();
    printf("flood: begins\n");
    if (strstr(what, "uart")) {
        flood_text();
    } else if (strstr(what, "msix")) {
        flood_msix();
    } else if (strstr(what, "status")) {
        flood_status();
    } else if (strstr(what, "i8042")) {
        fill(0xfefefefe, 0xfefefefe);
        flood_bytes(0x64);
    } else if (strstr(what, "cf9")) {
        fill(0x06060606, 0x06060606);
        flood_bytes(0xcf9);
    } else {
        fill(0x01010101, 0x01010101);
        flood_bytes(GUEST_EXIT_PORT);
    }
    return 1;
}
