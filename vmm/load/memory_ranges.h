/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map that a VM's first program is given, in the types of ACPI 6.5, 15.2 (E820), which
 * Multiboot uses too.
 */
#ifndef PORTOLAN_VMM_LOAD_MEMORY_RANGES_H
#define PORTOLAN_VMM_LOAD_MEMORY_RANGES_H

#include "vmm/base/types.h"

#define MAP_RANGES_MAX 8U

#define MAP_RAM      1U
#define MAP_RESERVED 2U

#define MAP_LOW_END   0x9fc00ULL /* of conventional memory: 639 KiB, as PCs with an EBDA have */
#define MAP_HIGH_BASE 0x100000ULL
#define MAP_4G        (1ULL << 32)

struct map_range {
    uint64_t base;
    uint64_t size;
    uint32_t type;
};

struct map {
    unsigned count;
    struct map_range range[MAP_RANGES_MAX]; /* ascending, not overlapping */
};

/* Of RAM that load_plan_build() allows. */
void map_build(uint64_t memory_below_4g, uint64_t memory_above_4g, struct map *map);

/* Does [base, base + size) lie in one range of RAM? Safe for every input; SIZE 0 is nowhere. */
bool map_has_ram(const struct map *map, uint64_t base, uint64_t size);

#endif
