/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A window on untrusted bytes: reads that never leave it.
 *
 * Every ACPI parser reads through these functions. A read outside gives zero, so a parser that
 * forgot a check misreads, but never touches memory that is not the table's. All numbers in ACPI
 * tables are little-endian and of any alignment.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_TABLE_WINDOW_H
#define PORTOLAN_DRIVERS_ACPI_TABLE_WINDOW_H

#include "vmm/base/types.h"

struct acpi_window {
    const uint8_t *bytes;
    uint32_t size;
};

/* Are the SIZE bytes from OFFSET inside WINDOW? */
static inline bool window_has(struct acpi_window window, uint32_t offset, uint32_t size)
{
    return range_fits(offset, size, window.size);
}

/* The little-endian number of WIDTH (1..8) bytes at OFFSET; 0 when it is not wholly inside. */
static inline uint64_t window_read(struct acpi_window window, uint32_t offset, uint32_t width)
{
    uint64_t value = 0;

    if (!window_has(window, offset, width)) {
        return 0;
    }
    for (uint32_t i = 0; i < width; i++) {
        value |= (uint64_t)window.bytes[offset + i] << (8 * i);
    }
    return value;
}

static inline uint8_t window_u8(struct acpi_window window, uint32_t offset)
{
    return (uint8_t)window_read(window, offset, 1);
}

static inline uint16_t window_u16(struct acpi_window window, uint32_t offset)
{
    return (uint16_t)window_read(window, offset, 2);
}

static inline uint32_t window_u32(struct acpi_window window, uint32_t offset)
{
    return (uint32_t)window_read(window, offset, 4);
}

static inline uint64_t window_u64(struct acpi_window window, uint32_t offset)
{
    return window_read(window, offset, 8);
}

/* The part of WINDOW from OFFSET, SIZE bytes long, cut off where WINDOW ends. */
static inline struct acpi_window window_part(struct acpi_window window, uint32_t offset,
                                             uint32_t size)
{
    if (offset > window.size) {
        offset = window.size;
    }
    if (size > window.size - offset) {
        size = window.size - offset;
    }
    return (struct acpi_window){window.bytes + offset, size};
}

#endif
