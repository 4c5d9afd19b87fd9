/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of free ranges of numbers: what the frame allocator and the pool keep their free memory in.
 * It never touches the memory itself. Not locked: its owner does that.
 */
#ifndef PORTOLAN_VMM_BASE_RANGES_H
#define PORTOLAN_VMM_BASE_RANGES_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define RANGES_MAX 1024U

struct range {
    uint64_t base;
    uint64_t size;
};

/* Sorted by base; no two touch. */
struct ranges {
    uint32_t count;
    struct range range[RANGES_MAX];
};

/*
 * Add [BASE, BASE + SIZE), SIZE > 0, not wrapping. CONFLICT when a part of it is in the set already
 * (a double free), NO_MEMORY when the table is full: then the range is lost to the set, which stays
 * sound.
 */
enum status ranges_add(struct ranges *set, uint64_t base, uint64_t size);

/* Take what is in the set of [BASE, BASE + SIZE) out of it. NO_MEMORY when a split needs a full
 * table. */
enum status ranges_remove(struct ranges *set, uint64_t base, uint64_t size);

/*
 * Take SIZE > 0 numbers from the set, aligned to ALIGN (a power of two), all within [FIRST, END):
 * the lowest that there is. NOT_FOUND: there is none.
 */
enum status ranges_take(struct ranges *set, uint64_t size, uint64_t align, uint64_t first,
                        uint64_t end, uint64_t *base);

uint64_t ranges_total(const struct ranges *set);

/* The longest run that begins and ends at a multiple of ALIGN. */
uint64_t ranges_largest(const struct ranges *set, uint64_t align);

#endif
