/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_memory.h"

#include "vmm/base/types.h"

static enum status regions_update(struct memory *memory)
{
    return regions_normalise(memory->ranges, memory->range_count, memory->edges, memory->regions,
                             ARRAY_SIZE(memory->regions), &memory->region_count);
}

enum status memory_init(struct memory *memory, const struct information *information)
{
    enum status status = information_read_memory(information, memory->ranges, MEMORY_FIRMWARE_MAX,
                                                 &memory->range_count);

    memory->region_count = 0;
    return status == STATUS_OK ? regions_update(memory) : status;
}

static bool range_is_free(const struct memory *memory, uint64_t base, uint64_t size)
{
    for (size_t i = 0; i < memory->region_count; i++) {
        const struct handoff_region *region = &memory->regions[i];
        if (region->type == HANDOFF_MEMORY_USABLE && base >= region->base &&
            range_fits(base - region->base, size, region->size)) {
            return true;
        }
    }
    return false;
}

enum status memory_claim(struct memory *memory, uint64_t base, uint64_t size)
{
    if (size == 0) {
        return STATUS_OK;
    }
    if (!range_fits(base, size, REGIONS_LIMIT)) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    uint64_t first = align_down(base, PAGE_SIZE);
    uint64_t end = align_up(base + size, PAGE_SIZE);
    if (!range_is_free(memory, first, end - first)) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    if (memory->range_count == MEMORY_RANGES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    memory->ranges[memory->range_count++] =
        (struct handoff_region){first, end - first, HANDOFF_MEMORY_LOADER, 0};
    return regions_update(memory);
}

enum status memory_take(struct memory *memory, uint64_t size, uint64_t *base)
{
    for (size_t i = 0; i < memory->region_count; i++) {
        const struct handoff_region *region = &memory->regions[i];
        uint64_t first = region->base > MEMORY_TAKE_MIN ? region->base : MEMORY_TAKE_MIN;
        uint64_t end = region->base + region->size;
        end = end < MEMORY_TAKE_MAX ? end : MEMORY_TAKE_MAX;
        if (region->type == HANDOFF_MEMORY_USABLE && end > first && size <= end - first) {
            *base = first;
            return memory_claim(memory, first, size);
        }
    }
    return STATUS_NOTE(STATUS_NO_MEMORY);
}
