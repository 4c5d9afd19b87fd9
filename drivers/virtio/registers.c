/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/registers.h"

#include "vmm/host/mmio.h"

uint32_t virtio_register_read(const volatile void *address, unsigned width)
{
    switch (width) {
    case 1:
        return mmio_read8(address);
    case 2:
        return mmio_read16(address);
    default:
        return mmio_read32(address);
    }
}

void virtio_register_write(volatile void *address, unsigned width, uint32_t value)
{
    switch (width) {
    case 1:
        mmio_write8(address, (uint8_t)value);
        break;
    case 2:
        mmio_write16(address, (uint16_t)value);
        break;
    default:
        mmio_write32(address, value);
        break;
    }
}
