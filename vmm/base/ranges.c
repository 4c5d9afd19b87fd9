/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/ranges.h"

#include <string.h>

static uint64_t range_end(const struct range *range)
{
    return range->base + range->size;
}

/* The index of the first range that ends behind ADDRESS. */
static uint32_t ranges_find(const struct ranges *set, uint64_t address)
{
    uint32_t low = 0, high = set->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (range_end(&set->range[middle]) > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void ranges_delete(struct ranges *set, uint32_t index)
{
    set->count--;
    memmove(&set->range[index], &set->range[index + 1],
            (set->count - index) * sizeof(set->range[0]));
}

static enum status ranges_insert(struct ranges *set, uint32_t index, uint64_t base, uint64_t size)
{
    if (set->count == RANGES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    memmove(&set->range[index + 1], &set->range[index],
            (set->count - index) * sizeof(set->range[0]));
    set->range[index] = (struct range){base, size};
    set->count++;
    return STATUS_OK;
}

enum status ranges_add(struct ranges *set, uint64_t base, uint64_t size)
{
    uint32_t next = ranges_find(set, base);

    if (next < set->count && set->range[next].base < base + size) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    bool joins_next = next < set->count && set->range[next].base == base + size;
    bool joins_last = next > 0 && range_end(&set->range[next - 1]) == base;

    if (joins_last) {
        set->range[next - 1].size += size;
        if (joins_next) {
            set->range[next - 1].size += set->range[next].size;
            ranges_delete(set, next);
        }
        return STATUS_OK;
    }
    if (joins_next) {
        set->range[next].base = base;
        set->range[next].size += size;
        return STATUS_OK;
    }
    return ranges_insert(set, next, base, size);
}

/* Cut [BASE, END) out of the range at INDEX, which contains it. */
static enum status ranges_cut(struct ranges *set, uint32_t index, uint64_t base, uint64_t end)
{
    struct range *range = &set->range[index];
    uint64_t old_end = range_end(range);

    if (range->base == base && old_end == end) {
        ranges_delete(set, index);
        return STATUS_OK;
    }
    if (range->base == base) {
        range->base = end;
        range->size = old_end - end;
        return STATUS_OK;
    }
    if (old_end != end) {
        enum status status = ranges_insert(set, index + 1, end, old_end - end);

        if (status != STATUS_OK) {
            return status;
        }
    }
    range->size = base - range->base;
    return STATUS_OK;
}

enum status ranges_remove(struct ranges *set, uint64_t base, uint64_t size)
{
    uint64_t end = base + size;

    /* Every round removes or shortens a range, so this ends. */
    for (uint32_t i = ranges_find(set, base); i < set->count && set->range[i].base < end;
         i = ranges_find(set, base)) {
        uint64_t from = set->range[i].base > base ? set->range[i].base : base;
        uint64_t to = range_end(&set->range[i]) < end ? range_end(&set->range[i]) : end;
        enum status status = ranges_cut(set, i, from, to);

        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status ranges_take(struct ranges *set, uint64_t size, uint64_t align, uint64_t first,
                        uint64_t end, uint64_t *base)
{
    for (uint32_t i = ranges_find(set, first); i < set->count; i++) {
        uint64_t from = set->range[i].base > first ? set->range[i].base : first;
        uint64_t to = range_end(&set->range[i]) < end ? range_end(&set->range[i]) : end;

        if (from > UINT64_MAX - align) {
            break;
        }
        from = align_up(from, align);
        if (from >= to || to - from < size) {
            continue;
        }
        enum status status = ranges_cut(set, i, from, from + size);

        if (status == STATUS_OK) {
            *base = from;
        }
        return status;
    }
    return STATUS_NOT_FOUND; /* not noted: callers try one limit after another */
}

uint64_t ranges_total(const struct ranges *set)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        total += set->range[i].size;
    }
    return total;
}

uint64_t ranges_largest(const struct ranges *set, uint64_t align)
{
    uint64_t largest = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t from = align_up(set->range[i].base, align);
        uint64_t to = align_down(range_end(&set->range[i]), align);

        if (to > from && to - from > largest) {
            largest = to - from;
        }
    }
    return largest;
}
