/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/frame.h"

#include "vmm/base/log.h"
#include "vmm/base/ranges.h"
#include "vmm/host/address_space.h"
#include "vmm/host/spinlock.h"

static struct spinlock lock = SPINLOCK(LOCK_FRAMES);
static struct ranges free_frames;
static struct ranges
    owned; /* all frames that may ever be freed: what frame_free() checks against */
static struct frame_counters counters;

static bool region_sane(const struct handoff_region *region, uint64_t limit)
{
    if (region->size == 0 || !range_fits(region->base, region->size, limit)) {
        log_warn("memory: region 0x%lx+0x%lx of the firmware's map is left out: %s", region->base,
                 region->size, region->size ? "beyond what the CPU can address" : "empty");
        return false;
    }
    return true;
}

/* Whole pages only: outwards for what must not be used, inwards for what may. */
static bool region_pages(const struct handoff_region *region, uint64_t *base, uint64_t *size)
{
    bool inwards = region->type == HANDOFF_MEMORY_USABLE;
    uint64_t end = region->base + region->size;

    *base = inwards ? align_up(region->base, PAGE_SIZE) : align_down(region->base, PAGE_SIZE);
    end = inwards ? align_down(end, PAGE_SIZE) : align_up(end, PAGE_SIZE);
    *size = end > *base ? end - *base : 0;
    return *size > 0;
}

static void frame_add_usable(const struct handoff_region *region, uint64_t limit)
{
    uint64_t base, size;

    if (!region_sane(region, limit)) {
        return;
    }
    counters.ram += handoff_is_ram(region->type) ? region->size : 0;
    if (region->type != HANDOFF_MEMORY_USABLE || !region_pages(region, &base, &size)) {
        return;
    }
    /* Overlap of two usable regions: each part is counted once. */
    if (ranges_remove(&free_frames, base, size) != STATUS_OK ||
        ranges_add(&free_frames, base, size) != STATUS_OK) {
        log_warn("memory: 0x%lx+0x%lx is not used: more than %u runs of free memory", base, size,
                 RANGES_MAX);
    }
}

static void frame_remove_used(const struct handoff_region *region, uint64_t limit)
{
    uint64_t base, size;

    if (region->type == HANDOFF_MEMORY_USABLE || region->size == 0 ||
        !range_fits(region->base, region->size, limit) || !region_pages(region, &base, &size)) {
        return;
    }
    uint64_t before = ranges_total(&free_frames);

    if (ranges_remove(&free_frames, base, size) != STATUS_OK) {
        free_frames.count = 0; /* cannot be told apart from memory in use: use nothing */
    }
    if (ranges_total(&free_frames) != before) {
        log_warn("memory: 0x%lx+0x%lx is both free and in use in the firmware's map: not used",
                 base, size);
    }
}

enum status frame_init(const struct handoff_region *regions, size_t count, unsigned physical_bits)
{
    uint64_t limit = physical_bits < 52 ? 1ULL << physical_bits : 1ULL << 52;

    limit = limit < DIRECT_SIZE ? limit : DIRECT_SIZE;
    counters = (struct frame_counters){0};
    free_frames.count = owned.count = 0;
    for (size_t i = 0; i < count; i++) {
        frame_add_usable(&regions[i], limit);
    }
    for (size_t i = 0; i < count; i++) {
        frame_remove_used(&regions[i], limit);
    }
    (void)ranges_remove(&free_frames, 0, PAGE_SIZE);
    owned = free_frames;
    counters.usable = ranges_total(&free_frames);
    return counters.usable ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    uint64_t found = 0;

    spinlock_acquire(&lock);
    enum status status = ranges_take(&free_frames, size, align, FRAME_BELOW_1M, limit, &found);

    if (status == STATUS_NOT_FOUND) {
        status = ranges_take(&free_frames, size, align, 0, limit, &found);
    }
    spinlock_release(&lock);
    *base = hpa(found);
    return status == STATUS_OK ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

/* Is all of [BASE, BASE + SIZE) in the set? */
static bool ranges_hold(const struct ranges *set, uint64_t base, uint64_t size)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct range *range = &set->range[i];

        if (base >= range->base && range_fits(base - range->base, size, range->size)) {
            return true;
        }
    }
    return false;
}

enum status frame_free(hpa_t base, uint64_t size)
{
    enum status status = STATUS_RANGE;

    spinlock_acquire(&lock);
    if (size > 0 && ((base.raw | size) & (PAGE_SIZE - 1)) == 0 &&
        ranges_hold(&owned, base.raw, size)) {
        status = ranges_add(&free_frames, base.raw, size);
    }
    spinlock_release(&lock);
    return status == STATUS_OK ? STATUS_OK : STATUS_NOTE(status);
}

struct frame_counters frame_count(void)
{
    spinlock_acquire(&lock);
    struct frame_counters now = counters;

    now.free = ranges_total(&free_frames);
    now.largest = ranges_largest(&free_frames, PAGE_SIZE_2M);
    spinlock_release(&lock);
    return now;
}
