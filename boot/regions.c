/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/regions.h"

#include "vmm/base/types.h"

#define TYPE_COUNT (HANDOFF_MEMORY_MMIO + 1)

/* Which type wins an overlap: the first of these that covers the place. */
static const uint8_t strongest_first[] = {
    HANDOFF_MEMORY_BAD,  HANDOFF_MEMORY_RESERVED, HANDOFF_MEMORY_MMIO,   HANDOFF_MEMORY_NVS,
    HANDOFF_MEMORY_ACPI, HANDOFF_MEMORY_LOADER,   HANDOFF_MEMORY_USABLE,
};

/* RANGE in whole pages and below the limit; a size of 0 says that nothing is left of it. */
static struct handoff_region region_trim(const struct handoff_region *range)
{
    struct handoff_region trimmed = {.type = range->type};
    uint64_t end = REGIONS_LIMIT;

    if (trimmed.type == 0 || trimmed.type >= TYPE_COUNT) {
        trimmed.type = HANDOFF_MEMORY_RESERVED;
    }
    if (range->size == 0 || range->base >= REGIONS_LIMIT) {
        return trimmed;
    }
    bool fits = range_fits(range->base, range->size, REGIONS_LIMIT);
    if (fits) {
        end = range->base + range->size;
    }
    if (trimmed.type == HANDOFF_MEMORY_USABLE) {
        trimmed.base = align_up(range->base, PAGE_SIZE);
        end = fits ? align_down(end, PAGE_SIZE) : 0;
    } else {
        trimmed.base = align_down(range->base, PAGE_SIZE);
        end = align_up(end, PAGE_SIZE);
    }
    trimmed.size = end > trimmed.base ? end - trimmed.base : 0;
    return trimmed;
}

static size_t edges_collect(const struct handoff_region *raw, size_t count,
                            struct region_edge *edges)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        struct handoff_region range = region_trim(&raw[i]);
        if (range.size != 0) {
            edges[used++] = (struct region_edge){range.base, range.type, 1};
            edges[used++] = (struct region_edge){range.base + range.size, range.type, -1};
        }
    }
    return used;
}

/* Shell's sort, by address. */
static void edges_sort(struct region_edge *edges, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (size_t i = gap; i < count; i++) {
            struct region_edge edge = edges[i];
            size_t at = i;

            for (; at >= gap && edges[at - gap].at > edge.at; at -= gap) {
                edges[at] = edges[at - gap];
            }
            edges[at] = edge;
        }
    }
}

/* The type that holds where DEPTH[type] ranges of each type lie over each other; 0: none. */
static uint32_t region_winner(const int32_t depth[TYPE_COUNT])
{
    for (size_t i = 0; i < ARRAY_SIZE(strongest_first); i++) {
        if (depth[strongest_first[i]] > 0) {
            return strongest_first[i];
        }
    }
    return 0;
}

enum status regions_normalise(const struct handoff_region *raw, size_t count,
                              struct region_edge *edges, struct handoff_region *out,
                              size_t out_capacity, size_t *out_count)
{
    size_t edge_count = edges_collect(raw, count, edges);
    int32_t depth[TYPE_COUNT] = {0};
    uint32_t type = 0;
    uint64_t start = 0;
    size_t used = 0;

    edges_sort(edges, edge_count);
    for (size_t i = 0; i < edge_count;) {
        uint64_t at = edges[i].at;
        for (; i < edge_count && edges[i].at == at; i++) {
            depth[edges[i].type] += edges[i].step;
        }
        uint32_t next = region_winner(depth);
        if (next == type) {
            continue;
        }
        if (type != 0) {
            if (used == out_capacity) {
                return STATUS_NOTE(STATUS_NO_MEMORY);
            }
            out[used++] = (struct handoff_region){start, at - start, type, 0};
        }
        type = next;
        start = at;
    }
    *out_count = used;
    return STATUS_OK;
}

uint64_t regions_total(const struct handoff_region *regions, size_t count, enum handoff_memory type)
{
    uint64_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (regions[i].type == (uint32_t)type) {
            total += regions[i].size;
        }
    }
    return total;
}
