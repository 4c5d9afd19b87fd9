/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a firmware's list of memory ranges, in whatever order and state, to the list of regions
 * that the hand-off promises: sorted, page-aligned, not overlapping, neighbours of one type joined.
 */
#ifndef PORTOLAN_BOOT_REGIONS_H
#define PORTOLAN_BOOT_REGIONS_H

#include "boot/handoff.h"
#include "vmm/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* No x86-64 CPU has more than 52 bits of physical address (AMD APM vol. 2, 5.1). */
#define REGIONS_LIMIT (1ULL << 52)

/* Where a range begins or ends. */
struct region_edge {
    uint64_t at;
    uint32_t type;
    int32_t step; /* +1: begins, -1: ends */
};

/*
 * Convert RAW (COUNT ranges, bytes, any order, any overlap) to OUT; *OUT_COUNT regions result.
 *
 * Where ranges overlap, the type that allows less wins. Free memory shrinks to whole pages, all
 * else grows to them. Free memory that is said to reach beyond REGIONS_LIMIT is not believed; other
 * ranges are cut off there. A type out of range counts as reserved.
 *
 * EDGES has room for 2 * COUNT elements, OUT for OUT_CAPACITY; 2 * COUNT always suffice, with less
 * STATUS_NO_MEMORY is possible. No buffer may overlap another one. Needs no log and no CPU state.
 */
enum status regions_normalise(const struct handoff_region *raw, size_t count,
                              struct region_edge *edges, struct handoff_region *out,
                              size_t out_capacity, size_t *out_count);

/* Bytes of memory of TYPE in REGIONS. */
uint64_t regions_total(const struct handoff_region *regions, size_t count,
                       enum handoff_memory type);

#endif
