/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in bytes, little-endian, as PCI, ACPI and virtio have them. */
#ifndef PORTOLAN_VMM_BASE_LITTLE_ENDIAN_H
#define PORTOLAN_VMM_BASE_LITTLE_ENDIAN_H

#include "vmm/base/types.h"

#include <string.h>

/* COUNT bytes, 1..8, at any alignment. The caller has checked that the bytes are there. */
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

/* The same of a number's own size. */
static inline uint16_t bytes_get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t bytes_get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t bytes_get64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline void bytes_put16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline void bytes_put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static inline void bytes_put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* WIDTH bytes, 1, 2 or 4, as a bus gives them that nobody answers on. */
static inline uint32_t all_ones(unsigned width)
{
    return width >= 4 ? 0xffffffffU : (1U << 8 * width) - 1;
}

#endif
