/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in bytes, little-endian, as PCI, ACPI and virtio have them. */
#ifndef PORTOLAN_VMM_BASE_LITTLE_ENDIAN_H
#define PORTOLAN_VMM_BASE_LITTLE_ENDIAN_H

#include "vmm/base/types.h"

/* COUNT bytes, 1..8, at any alignment. */
static inline uint64_t bytes_get(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    return value;
}

static inline void bytes_put(uint8_t *bytes, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

/* WIDTH bytes, 1, 2 or 4, as a bus gives them that nobody answers on. */
static inline uint32_t all_ones(unsigned width)
{
    return width >= 4 ? 0xffffffffU : (1U << 8 * width) - 1;
}

#endif
