/* SPDX-License-Identifier: BSD-2-Clause */
/* What several layers must agree on about a guest's physical addresses. */
#ifndef PORTOLAN_VMM_BASE_GUEST_MAP_H
#define PORTOLAN_VMM_BASE_GUEST_MAP_H

#include <stdint.h>

/* 32-bit space for the BARs of passed-through functions; low RAM ends at or below it. */
#define PCI_HOLE_BASE 0xe0000000U
#define PCI_HOLE_END  0xfec00000U

/* How much of MEMORY bytes of RAM lies below 4 GiB; the rest begins there. */
static inline uint64_t guest_map_below_4g(uint64_t memory)
{
    return memory < PCI_HOLE_BASE ? memory : PCI_HOLE_BASE;
}

#endif
