/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

/*
 * What does not depend on the VM. A0000h..DFFFFh is in no range, as on a PC: display and option
 * ROMs. The I/O APIC and the local APICs are named so that nobody places a BAR over them.
 */
static const struct map_range fixed_low[] = {
    {0,       MAP_LOW_END,             MAP_RAM     },
    {0x9fc00, 0x400,                   MAP_RESERVED}, /* EBDA */
    {0xe0000, MAP_HIGH_BASE - 0xe0000, MAP_RESERVED}, /* firmware tables */
};
static const struct map_range fixed_high[] = {
    {0xfec00000, 0x1000,  MAP_RESERVED}, /* I/O APIC */
    {0xfee00000, 0x1000,  MAP_RESERVED}, /* local APICs */
    {0xffff0000, 0x10000, MAP_RESERVED}, /* the BIOS's segment again */
};

_Static_assert(ARRAY_SIZE(fixed_low) + ARRAY_SIZE(fixed_high) + 2 == MAP_RANGES_MAX,
               "MAP_RANGES_MAX counts them and the two of the VM");

void map_build(uint64_t memory_below_4g, uint64_t memory_above_4g, struct map *map)
{
    *map = (struct map){0};
    for (unsigned i = 0; i < ARRAY_SIZE(fixed_low); i++) {
        map->range[map->count++] = fixed_low[i];
    }
    map->range[map->count++] =
        (struct map_range){MAP_HIGH_BASE, memory_below_4g - MAP_HIGH_BASE, MAP_RAM};
    for (unsigned i = 0; i < ARRAY_SIZE(fixed_high); i++) {
        map->range[map->count++] = fixed_high[i];
    }
    if (memory_above_4g != 0) {
        map->range[map->count++] = (struct map_range){MAP_4G, memory_above_4g, MAP_RAM};
    }
}

bool map_has_ram(const struct map *map, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < map->count; i++) {
        const struct map_range *range = &map->range[i];
        if (range->type == MAP_RAM && size != 0 && base >= range->base &&
            range_fits(base - range->base, size, range->size)) {
            return true;
        }
    }
    return false;
}
