/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to device registers and to memory that a device or another CPU writes: one access of
 * just this width, not merged, split, repeated or moved by the compiler. On x86 accesses to
 * uncached memory are not reordered by the CPU either.
 */
#ifndef PORTOLAN_VMM_HOST_MMIO_H
#define PORTOLAN_VMM_HOST_MMIO_H

#include <stdint.h>

static inline uint32_t mmio_read32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}

static inline uint64_t mmio_read64(const volatile void *address)
{
    return *(const volatile uint64_t *)address;
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

/*
 * The same for WIDTH = 1, 2 or 4 bytes at ADDRESS, a multiple of WIDTH. Of a device that is gone
 * all ones are read. Any CPU. On the host, tests may link a simulated device instead.
 */
uint32_t mmio_read(const volatile void *address, unsigned width);
void mmio_write(volatile void *address, unsigned width, uint32_t value);

#endif
