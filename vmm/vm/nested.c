/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/nested.h"

#include "vmm/host/pool.h"

#define ENTRIES       512U
#define ADDRESS_MASK  0x000ffffffffff000ULL
#define ADDRESS_LIMIT (1ULL << 48)
#define HOST_LIMIT    (1ULL << 52)

/* Bytes that one entry of a table at LEVEL (0: of 4 KiB pages) stands for. */
static uint64_t span(unsigned level)
{
    return PAGE_SIZE << 9 * level;
}

static unsigned index_at(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (12 + 9 * level)) % ENTRIES;
}

static uint64_t load(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

/* The table that an entry points to is filled in before the entry. */
static void store(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static bool is_present(const struct nested *nested, uint64_t entry)
{
    return entry & nested->format->present;
}

static bool is_leaf(const struct nested *nested, uint64_t entry, unsigned level)
{
    return level == 0 || (entry & nested->format->large);
}

static uint64_t *table_of(uint64_t entry)
{
    return pool_pointer(hpa(entry & ADDRESS_MASK));
}

static uint64_t *new_table(struct nested *nested)
{
    uint64_t *table = pool_allocate(PAGE_SIZE, PAGE_SIZE);

    nested->table_pages += table ? 1 : 0;
    return table;
}

enum status nested_init(struct nested *nested, const struct nested_format *format, bool giant_pages)
{
    *nested = (struct nested){.format = format, .giant_pages = giant_pages};
    nested->root = new_table(nested);
    return nested->root ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

hpa_t nested_root(const struct nested *nested)
{
    return pool_hpa(nested->root);
}

/* Not recursive: a stack of as many tables as there are levels. */
void nested_destroy(struct nested *nested)
{
    uint64_t *table[NESTED_LEVELS] = {[NESTED_LEVELS - 1] = nested->root};
    unsigned index[NESTED_LEVELS] = {0};
    unsigned level = NESTED_LEVELS - 1;

    while (level < NESTED_LEVELS) {
        if (index[level] == ENTRIES) {
            pool_free(table[level], PAGE_SIZE);
            level++;
            continue;
        }
        uint64_t entry = table[level][index[level]++];

        if (is_present(nested, entry) && !is_leaf(nested, entry, level)) {
            level--;
            table[level] = table_of(entry);
            index[level] = 0;
        }
    }
    *nested = (struct nested){0};
}

static uint64_t leaf_bits(const struct nested_format *format, unsigned rights, unsigned level)
{
    return format->read | (rights & NESTED_WRITE ? format->write : 0) |
           (rights & NESTED_EXECUTE ? format->execute : format->no_execute) |
           (rights & NESTED_UNCACHED ? format->uncached : format->cached) |
           (level > 0 ? format->large : 0);
}

/* Put a table that maps the same in smaller pages in the place of a large leaf. */
static uint64_t *split(struct nested *nested, uint64_t *entry, unsigned level)
{
    uint64_t *table = new_table(nested);
    uint64_t leaf = load(entry);
    uint64_t bits = leaf & ~ADDRESS_MASK & ~(level == 1 ? nested->format->large : 0);

    for (unsigned i = 0; table && i < ENTRIES; i++) {
        table[i] = ((leaf & ADDRESS_MASK) + i * span(level - 1)) | bits;
    }
    if (table) {
        store(entry, pool_hpa(table).raw | nested->format->table);
    }
    return table;
}

/* The table below ENTRY, made or split off if there is none. NULL: no memory. */
static uint64_t *descend(struct nested *nested, uint64_t *entry, unsigned level)
{
    uint64_t value = load(entry);

    if (is_present(nested, value)) {
        return is_leaf(nested, value, level) ? split(nested, entry, level) : table_of(value);
    }
    uint64_t *table = new_table(nested);

    if (table) {
        store(entry, pool_hpa(table).raw | nested->format->table);
    }
    return table;
}

/* May a leaf of this level stand here? Where there is a table already, it stays. */
static bool leaf_fits(const struct nested *nested, uint64_t entry, unsigned level, uint64_t at,
                      uint64_t to, uint64_t size)
{
    if (level == 0) {
        return true;
    }
    return level <= (nested->giant_pages ? 2U : 1U) && (at | to) % span(level) == 0 &&
           size >= span(level) && (!is_present(nested, entry) || is_leaf(nested, entry, level));
}

/* Map one page at AT, of the size that fits; returns that, or 0 for lack of memory. */
static uint64_t map_one(struct nested *nested, uint64_t at, uint64_t to, uint64_t size,
                        unsigned rights)
{
    uint64_t *table = nested->root;

    for (unsigned level = NESTED_LEVELS - 1; table; level--) {
        uint64_t *entry = &table[index_at(at, level)];

        if (leaf_fits(nested, load(entry), level, at, to, size)) {
            store(entry, to | leaf_bits(nested->format, rights, level));
            return span(level);
        }
        table = descend(nested, entry, level);
    }
    return 0;
}

/* Clear what one entry maps at AT, if not more than SIZE; returns how far that reaches. */
static uint64_t unmap_one(struct nested *nested, uint64_t at, uint64_t size)
{
    uint64_t *table = nested->root;

    for (unsigned level = NESTED_LEVELS - 1; table; level--) {
        uint64_t *entry = &table[index_at(at, level)], value = load(entry);

        if (!is_present(nested, value)) {
            return span(level) - at % span(level);
        }
        if (is_leaf(nested, value, level) && at % span(level) == 0 && size >= span(level)) {
            store(entry, 0);
            return span(level);
        }
        table = descend(nested, entry, level);
    }
    return 0;
}

static bool range_is_valid(uint64_t at, uint64_t size)
{
    return (at | size) % PAGE_SIZE == 0 && range_fits(at, size, ADDRESS_LIMIT);
}

enum status nested_map(struct nested *nested, gpa_t at, hpa_t to, uint64_t size, unsigned rights)
{
    if (!range_is_valid(at.raw, size) || to.raw % PAGE_SIZE ||
        !range_fits(to.raw, size, HOST_LIMIT)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (uint64_t done = 0; done < size;) {
        uint64_t step = map_one(nested, at.raw + done, to.raw + done, size - done, rights);

        if (step == 0) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        done += step;
    }
    return STATUS_OK;
}

enum status nested_unmap(struct nested *nested, gpa_t at, uint64_t size)
{
    if (!range_is_valid(at.raw, size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (uint64_t done = 0; done < size;) {
        uint64_t step = unmap_one(nested, at.raw + done, size - done);

        if (step == 0) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        done += step;
    }
    return STATUS_OK;
}

static unsigned rights_of(const struct nested_format *format, uint64_t entry)
{
    bool executable = format->no_execute ? !(entry & format->no_execute)
                                         : (entry & format->execute) == format->execute;

    return NESTED_READ | ((entry & format->write) == format->write ? NESTED_WRITE : 0U) |
           (executable ? NESTED_EXECUTE : 0U) |
           ((entry & (format->cached | format->uncached)) == format->uncached ? NESTED_UNCACHED
                                                                              : 0U);
}

enum status nested_lookup(const struct nested *nested, gpa_t at, hpa_t *to, unsigned *rights,
                          uint64_t *page_size)
{
    const uint64_t *table = nested->root;

    for (unsigned level = NESTED_LEVELS - 1; at.raw < ADDRESS_LIMIT; level--) {
        uint64_t entry = load(&table[index_at(at.raw, level)]);

        if (!is_present(nested, entry)) {
            break;
        }
        if (is_leaf(nested, entry, level)) {
            *to = hpa((entry & ADDRESS_MASK) + at.raw % span(level));
            *rights = rights_of(nested->format, entry);
            *page_size = span(level);
            return STATUS_OK;
        }
        table = table_of(entry);
    }
    return STATUS_NOT_FOUND;
}
