/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/page_table.h"

#include "drivers/iommu/hardware.h"
#include "drivers/iommu/iommu.h"
#include "vmm/host/pool.h"

#define ENTRIES    512U
#define LEVEL_BITS 9U

/* The bytes that one entry of a table of LEVEL spans. */
static uint64_t span_of(unsigned level)
{
    return PAGE_SIZE << LEVEL_BITS * (level - 1);
}

/* An entry on the way to an IOVA, and the level of the table that it stands in. */
struct place {
    uint64_t *entry;
    unsigned level;
};

static bool is_present(const struct iommu_table *table, uint64_t entry)
{
    return (entry & table->format->present) != 0;
}

static bool is_leaf(const struct iommu_table *table, uint64_t entry, unsigned level)
{
    return level == 1 || (entry & table->format->leaf_mask) == table->format->leaf_value;
}

static uint64_t *next_table(const struct iommu_table *table, uint64_t entry)
{
    return pool_pointer(hpa(entry & table->format->address));
}

static uint64_t *entry_of(uint64_t *entries, uint64_t iova, unsigned level)
{
    return &entries[iova / span_of(level) % ENTRIES];
}

/* Walk towards IOVA, to the level TARGET or to where no table leads further. */
static struct place walk(const struct iommu_table *table, uint64_t iova, unsigned target)
{
    struct place place = {entry_of(table->root, iova, table->levels), table->levels};

    while (place.level > target) {
        uint64_t entry = iommu_hw_load(place.entry);

        if (!is_present(table, entry) || is_leaf(table, entry, place.level)) {
            break;
        }
        place.level--;
        place.entry = entry_of(next_table(table, entry), iova, place.level);
    }
    return place;
}

static void entry_set(const struct iommu_table *table, uint64_t *entry, uint64_t value)
{
    iommu_hw_store(entry, value);
    if (!table->coherent) {
        iommu_hw_write_back(entry, sizeof(*entry));
    }
}

static uint64_t *table_new(struct iommu_table *table)
{
    uint64_t *entries = pool_allocate(PAGE_SIZE, PAGE_SIZE);

    if (entries == NULL) {
        return NULL;
    }
    if (!table->coherent) {
        iommu_hw_write_back(entries, PAGE_SIZE); /* its zeros, before it can be reached */
    }
    table->pages++;
    return entries;
}

enum status iommu_table_create(struct iommu_table *table)
{
    table->pages = 0;
    table->root = table_new(table);
    return table->root != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

void iommu_table_destroy(struct iommu_table *table)
{
    pool_free(table->root, PAGE_SIZE);
    table->root = NULL;
    table->pages = 0;
}

/* Walk to level TARGET, with new tables where they are missing; level 0: no memory. */
static struct place walk_making(struct iommu_table *table, uint64_t iova, unsigned target)
{
    const struct iommu_page_format *format = table->format;

    for (;;) {
        struct place place = walk(table, iova, target);

        if (place.level <= target || is_present(table, iommu_hw_load(place.entry))) {
            return place;
        }
        uint64_t *entries = table_new(table);

        if (entries == NULL) {
            return (struct place){NULL, 0};
        }
        uint64_t next = format->next_shift != 0 ? (place.level - 1ULL) << format->next_shift : 0;

        entry_set(table, place.entry, pool_hpa(entries).raw | format->table | next);
    }
}

/* The end of the part of [IOVA, END) that the entry at LEVEL covers. */
static uint64_t part_end(uint64_t iova, uint64_t end, unsigned level)
{
    uint64_t next = align_down(iova, span_of(level)) + span_of(level);

    return next < end ? next : end;
}

static bool is_mapped(const struct iommu_table *table, uint64_t iova, uint64_t size)
{
    uint64_t end = iova + size;

    while (iova < end) {
        struct place place = walk(table, iova, 1);

        if (is_present(table, iommu_hw_load(place.entry))) {
            return true;
        }
        iova = part_end(iova, end, place.level);
    }
    return false;
}

/* The level of the largest page that fits at IOVA and BASE, by alignment, size and units. */
static unsigned largest_level(const struct iommu_table *table, uint64_t iova, uint64_t base,
                              uint64_t size)
{
    unsigned level = 3;

    while (level > 1 && ((table->page_sizes & span_of(level)) == 0 || size < span_of(level) ||
                         (iova | base) % span_of(level) != 0)) {
        level--;
    }
    return level;
}

static uint64_t leaf_value(const struct iommu_table *table, uint64_t base, unsigned level,
                           unsigned rights)
{
    const struct iommu_page_format *format = table->format;

    return base | format->leaf | table->extra_leaf | (level > 1 ? format->large : 0) |
           ((rights & IOMMU_READ) != 0 ? format->read : 0) |
           ((rights & IOMMU_WRITE) != 0 ? format->write : 0);
}

enum status iommu_table_map(struct iommu_table *table, uint64_t iova, uint64_t base, uint64_t size,
                            unsigned rights, uint64_t *done)
{
    *done = 0;
    if (is_mapped(table, iova, size)) {
        return STATUS_NOTE(STATUS_CONFLICT);
    }
    while (*done < size) {
        unsigned level = largest_level(table, iova + *done, base + *done, size - *done);
        struct place place = walk_making(table, iova + *done, level);

        /* A table may stand where a large page would fit: then smaller pages go into it. */
        while (level > 1 && place.level != 0 && is_present(table, iommu_hw_load(place.entry))) {
            place = walk_making(table, iova + *done, --level);
        }
        if (place.level == 0) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        entry_set(table, place.entry, leaf_value(table, base + *done, place.level, rights));
        *done += span_of(place.level);
    }
    return STATUS_OK;
}

/* Does a page that is mapped begin before ADDRESS and end behind it? */
static bool cuts_at(const struct iommu_table *table, uint64_t address)
{
    struct place place = walk(table, address, 1);

    return is_present(table, iommu_hw_load(place.entry)) && address % span_of(place.level) != 0;
}

bool iommu_table_cuts(const struct iommu_table *table, uint64_t iova, uint64_t size)
{
    uint64_t limit = span_of(table->levels) * ENTRIES;

    return cuts_at(table, iova) || (iova + size < limit && cuts_at(table, iova + size));
}

uint64_t iommu_table_clear(struct iommu_table *table, uint64_t iova, uint64_t size)
{
    uint64_t end = iova + size, cleared = 0;

    while (iova < end) {
        struct place place = walk(table, iova, 1);

        if (is_present(table, iommu_hw_load(place.entry))) {
            entry_set(table, place.entry, 0);
            cleared += span_of(place.level);
        }
        iova = part_end(iova, end, place.level);
    }
    return cleared;
}

static bool is_empty(const struct iommu_table *table, const uint64_t *entries)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (is_present(table, iommu_hw_load(&entries[i]))) {
            return false;
        }
    }
    return true;
}

unsigned iommu_table_prune(struct iommu_table *table, uint64_t iova, uint64_t size,
                           uint64_t *pruned[], unsigned count)
{
    uint64_t end = iova + size;
    unsigned found = 0;

    /* From the leaves up: a table whose last table went becomes empty itself. */
    for (unsigned level = 2; level <= table->levels; level++) {
        for (uint64_t at = iova; at < end && found < count;) {
            struct place place = walk(table, at, level);
            uint64_t entry = iommu_hw_load(place.entry);

            if (place.level == level && is_present(table, entry) && !is_leaf(table, entry, level) &&
                is_empty(table, next_table(table, entry))) {
                entry_set(table, place.entry, 0);
                pruned[found++] = next_table(table, entry);
            }
            at = part_end(at, end, place.level);
        }
    }
    return found;
}

void iommu_table_free(struct iommu_table *table, uint64_t *pruned[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pool_free(pruned[i], PAGE_SIZE);
    }
    table->pages -= count;
}

enum status iommu_table_lookup(const struct iommu_table *table, uint64_t iova, hpa_t *base,
                               unsigned *rights)
{
    struct place place = walk(table, iova, 1);
    uint64_t entry = iommu_hw_load(place.entry);
    const struct iommu_page_format *format = table->format;

    if (!is_present(table, entry)) {
        return STATUS_NOT_FOUND;
    }
    *base = hpa((entry & format->address) + iova % span_of(place.level));
    if (rights != NULL) {
        *rights = ((entry & format->read) != 0 ? IOMMU_READ : 0U) |
                  ((entry & format->write) != 0 ? IOMMU_WRITE : 0U);
    }
    return STATUS_OK;
}
