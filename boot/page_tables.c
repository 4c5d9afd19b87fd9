/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/page_tables.h"

#include <string.h>

#define ENTRY_PRESENT 0x01ULL
#define ENTRY_WRITE   0x02ULL
#define ENTRY_LARGE   0x80ULL
#define ENTRY_ADDRESS 0x000ffffffffff000ULL
#define ENTRIES       512

/* The levels, by the shift of what one entry covers. */
enum { SHIFT_4K = 12, SHIFT_2M = 21, SHIFT_1G = 30, SHIFT_512G = 39 };

/* Which of the slots of one size were counted; regions come in ascending order. */
struct slots {
    uint64_t next;
    uint64_t count;
};

/* The end of what is mapped of REGION; not above its base: nothing is. */
static uint64_t region_mapped_end(const struct handoff_region *region)
{
    uint64_t end = region->base + region->size;

    if (!handoff_is_ram(region->type)) {
        return 0;
    }
    return end < BOOT_TABLES_LIMIT ? end : BOOT_TABLES_LIMIT;
}

static void slots_count(struct slots *slots, uint64_t base, uint64_t end, unsigned shift)
{
    uint64_t first = base >> shift;
    uint64_t last = (end - 1) >> shift;

    first = first > slots->next ? first : slots->next;
    if (last >= first) {
        slots->count += last + 1 - first;
        slots->next = last + 1;
    }
}

size_t boot_tables_page_count(const struct handoff_region *regions, size_t count, bool has_1g,
                              uint64_t core_size)
{
    struct slots directories = {0};
    struct slots pointers = {0};
    uint64_t filled = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t base = regions[i].base;
        uint64_t end = region_mapped_end(&regions[i]);
        if (end <= base) {
            continue;
        }
        slots_count(&directories, base, end, SHIFT_1G);
        slots_count(&pointers, base, end, SHIFT_512G);
        uint64_t inner = align_up(base, PAGE_SIZE_1G);
        if (has_1g && align_down(end, PAGE_SIZE_1G) > inner) {
            filled += (align_down(end, PAGE_SIZE_1G) - inner) >> SHIFT_1G;
        }
    }
    uint64_t core_tables = align_up(core_size, PAGE_SIZE_2M) >> SHIFT_2M;
    /* The root, and the two upper levels of the core. */
    return 3 + core_tables + pointers.count + directories.count - filled;
}

static uint64_t *table_at(const struct boot_tables *tables, uint64_t entry)
{
    uint64_t offset = (entry & ENTRY_ADDRESS) - tables->base.raw;

    return tables->pool + offset / sizeof(uint64_t);
}

static enum status table_new(struct boot_tables *tables, uint64_t *entry)
{
    if (tables->used == tables->page_count) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    uint64_t base = tables->base.raw + tables->used * PAGE_SIZE;
    memset(table_at(tables, base), 0, PAGE_SIZE);
    tables->used++;
    *entry = base | ENTRY_PRESENT | ENTRY_WRITE;
    return STATUS_OK;
}

/* Map one page of 1 << SHIFT bytes; what is mapped there already is left as it is. */
static enum status page_map(struct boot_tables *tables, uint64_t va, uint64_t pa, unsigned shift)
{
    uint64_t *table = tables->pool;

    for (unsigned level = SHIFT_512G; level > shift; level -= 9) {
        uint64_t *entry = &table[(va >> level) % ENTRIES];
        if ((*entry & ENTRY_PRESENT) == 0) {
            enum status status = table_new(tables, entry);
            if (status != STATUS_OK) {
                return status;
            }
        }
        if ((*entry & ENTRY_LARGE) != 0) {
            return STATUS_OK;
        }
        table = table_at(tables, *entry);
    }
    uint64_t *entry = &table[(va >> shift) % ENTRIES];
    if ((*entry & ENTRY_PRESENT) == 0) {
        *entry = pa | ENTRY_PRESENT | ENTRY_WRITE | (shift == SHIFT_4K ? 0 : ENTRY_LARGE);
    }
    return STATUS_OK;
}

static enum status region_map(struct boot_tables *tables, uint64_t base, uint64_t end)
{
    uint64_t at = align_down(base, PAGE_SIZE_2M);

    while (at < end) {
        bool fills_1g =
            tables->has_1g && at % PAGE_SIZE_1G == 0 && at >= base && end - at >= PAGE_SIZE_1G;
        unsigned shift = fills_1g ? SHIFT_1G : SHIFT_2M;
        enum status status = page_map(tables, at, at, shift);
        if (status != STATUS_OK) {
            return status;
        }
        at += 1ULL << shift;
    }
    return STATUS_OK;
}

enum status boot_tables_build(struct boot_tables *tables, const struct handoff_region *regions,
                              size_t count, hpa_t core_base, uint64_t core_size)
{
    uint64_t root;

    tables->used = 0;
    enum status status = table_new(tables, &root);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = region_map(tables, regions[i].base, region_mapped_end(&regions[i]));
    }
    for (uint64_t at = 0; at < core_size && status == STATUS_OK; at += PAGE_SIZE) {
        status = page_map(tables, HANDOFF_CORE_VA + at, core_base.raw + at, SHIFT_4K);
    }
    return status;
}
