/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_machine.h"

#include "boot/pci_role.h"
#include "vmm/base/types.h"
#include "vmm/host/port_io.h"

#include <string.h>

#define RSDP_ALIGN 16U
#define PIXEL_BITS 32U

#define PORT_ADDRESS   0xcf8U
#define PORT_DATA      0xcfcU
#define ADDRESS_ENABLE (1U << 31)

#define BUSES     256U
#define DEVICES   32U
#define FUNCTIONS 8U

/* PCI 3.0, 6.1. */
#define REGISTER_VENDOR 0x00U
#define REGISTER_HEADER 0x0cU /* header type in bits 23:16 */
#define HEADER_MULTI    (1U << 23)
#define VENDOR_NONE     0xffffU
#define COMMAND_MASK    0xffffU /* the other half is the status: ones written there clear errors */

bool rsdp_is_sound(const uint8_t *bytes, size_t size)
{
    static const char signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    uint8_t sum = 0;

    if (size < RSDP_SIZE_MIN || memcmp(bytes, signature, sizeof(signature)) != 0) {
        return false;
    }
    for (size_t i = 0; i < RSDP_SIZE_MIN; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

size_t rsdp_search(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += RSDP_ALIGN) {
        if (rsdp_is_sound(bytes + at, size - at)) {
            return at;
        }
    }
    return size;
}

static uint32_t pixel_get(const struct information_framebuffer *screen)
{
    if (screen->type != INFORMATION_RGB || screen->bits != PIXEL_BITS || screen->red_bits != 8 ||
        screen->green_bits != 8 || screen->blue_bits != 8 || screen->green != 8) {
        return HANDOFF_PIXEL_NONE;
    }
    if (screen->red == 16 && screen->blue == 0) {
        return HANDOFF_PIXEL_BGRX;
    }
    return screen->red == 0 && screen->blue == 16 ? HANDOFF_PIXEL_RGBX : HANDOFF_PIXEL_NONE;
}

struct handoff_framebuffer framebuffer_convert(const struct information_framebuffer *screen)
{
    struct handoff_framebuffer none = {0};
    uint32_t pixel = pixel_get(screen);

    if (pixel == HANDOFF_PIXEL_NONE || screen->base == 0 || screen->width == 0 ||
        screen->height == 0 || screen->width > screen->pitch / (PIXEL_BITS / 8) ||
        !range_fits(screen->base, (uint64_t)screen->pitch * screen->height, UINT64_MAX)) {
        return none;
    }
    return (struct handoff_framebuffer){screen->base, screen->width, screen->height, screen->pitch,
                                        pixel};
}

struct function {
    uint32_t bus, device, number;
};

static void port_select(struct function function, uint32_t offset)
{
    port_write(PORT_ADDRESS, 4,
               ADDRESS_ENABLE | function.bus << 16 | function.device << 11 | function.number << 8 |
                   offset);
}

static uint32_t function_read(struct function function, uint32_t offset)
{
    port_select(function, offset);
    return port_read(PORT_DATA, 4);
}

static bool function_is_there(struct function function)
{
    return (function_read(function, REGISTER_VENDOR) & 0xffffU) != VENDOR_NONE;
}

static void function_stop(struct function function)
{
    enum pci_role role = pci_role_of_class(function_read(function, PCI_ROLE_CLASS));
    uint32_t command = function_read(function, PCI_ROLE_COMMAND) & COMMAND_MASK;

    if (pci_role_is_stopped(role) && (command & PCI_ROLE_MASTER) != 0) {
        port_write(PORT_DATA, 2, command & ~PCI_ROLE_MASTER);
    }
}

static void device_stop(uint32_t bus, uint32_t device)
{
    struct function function = {bus, device, 0};

    if (!function_is_there(function)) {
        return;
    }
    bool multi = (function_read(function, REGISTER_HEADER) & HEADER_MULTI) != 0;
    for (; function.number < (multi ? FUNCTIONS : 1U); function.number++) {
        if (function_is_there(function)) {
            function_stop(function);
        }
    }
}

/* The address port keeps what is written where the ports exist (PCI 3.0, 3.2.2.3.2). */
static bool ports_exist(void)
{
    port_write(PORT_ADDRESS, 4, ADDRESS_ENABLE);
    return port_read(PORT_ADDRESS, 4) == ADDRESS_ENABLE;
}

void pci_quiesce(void)
{
    if (!ports_exist()) {
        return;
    }
    for (uint32_t bus = 0; bus < BUSES; bus++) {
        for (uint32_t device = 0; device < DEVICES; device++) {
            device_stop(bus, device);
        }
    }
}
