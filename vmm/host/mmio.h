/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to device registers and to memory that a device or another CPU writes: one access of
 * just this width, not merged, split, repeated or moved by the compiler. On x86 accesses to
 * uncached memory are not reordered by the CPU either.
 */
#ifndef PORTOLAN_VMM_HOST_MMIO_H
#define PORTOLAN_VMM_HOST_MMIO_H

#include <stdint.h>

static inline uint8_t mmio_read8(const volatile void *address)
{
    return *(const volatile uint8_t *)address;
}

static inline uint16_t mmio_read16(const volatile void *address)
{
    return *(const volatile uint16_t *)address;
}

static inline uint32_t mmio_read32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}

static inline uint64_t mmio_read64(const volatile void *address)
{
    return *(const volatile uint64_t *)address;
}

static inline void mmio_write8(volatile void *address, uint8_t value)
{
    *(volatile uint8_t *)address = value;
}

static inline void mmio_write16(volatile void *address, uint16_t value)
{
    *(volatile uint16_t *)address = value;
}

static inline void mmio_write32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline void mmio_write64(volatile void *address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

#endif
