/* SPDX-License-Identifier: BSD-2-Clause */
/* Any memory map of a firmware becomes a list that keeps the hand-off's promises, and page tables
 * of exactly the size that was said before. */
#include "boot/efi/memory_map.h"
#include "boot/page_tables.h"
#include "boot/regions.h"
#include "vmm/base/types.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 128
#define PAGES_MAX  32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_regions(const struct handoff_region *regions, size_t count)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        const struct handoff_region *region = &regions[i];
        require(region->size > 0 && region->base >= end);
        require(i == 0 || region->base > end || region->type != regions[i - 1].type);
        require(region->base % PAGE_SIZE == 0 && region->size % PAGE_SIZE == 0);
        require(range_fits(region->base, region->size, REGIONS_LIMIT));
        require(region->type >= HANDOFF_MEMORY_USABLE && region->type <= HANDOFF_MEMORY_MMIO);
        end = region->base + region->size;
    }
}

static void check_tables(const struct handoff_region *regions, size_t count, bool has_1g)
{
    static _Alignas(4096) uint64_t pool[PAGES_MAX * PAGE_SIZE / sizeof(uint64_t)];
    size_t pages = boot_tables_page_count(regions, count, has_1g, PAGE_SIZE);

    if (pages <= PAGES_MAX) {
        struct boot_tables tables = {pool, hpa(0x10000), pages, has_1g, 0};
        enum status status = boot_tables_build(&tables, regions, count, hpa(0), PAGE_SIZE);
        require(status == STATUS_OK && tables.used == pages);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct handoff_region ranges[RANGES_MAX];
    static struct handoff_region regions[2 * RANGES_MAX];
    static struct region_edge edges[2 * RANGES_MAX];
    size_t count;
    size_t region_count;

    if (size < 2) {
        return 0;
    }
    bool has_1g = data[0] % 2 != 0;
    size_t stride = data[1];
    data += 2;
    size -= 2;
    /* Most inputs should get past the first check. */
    size -= stride >= MEMORY_MAP_DESCRIPTOR_MIN ? size % stride : 0;
    if (memory_map_read(data, size, stride, ranges, RANGES_MAX, &count) != STATUS_OK) {
        return 0;
    }
    require(regions_normalise(ranges, count, edges, regions, 2 * count, &region_count) ==
            STATUS_OK);
    check_regions(regions, region_count);
    check_tables(regions, region_count, has_1g);
    return 0;
}
