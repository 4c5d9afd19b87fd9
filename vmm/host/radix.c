/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/radix.h"

#include "vmm/host/pool.h"
#include "vmm/host/shared.h"

#define ENTRIES    512U
#define ADDRESS    0x000ffffffffff000ULL
#define HOST_LIMIT (1ULL << 52)

/* Above it no page can be large. */
#define LEAF_LEVEL_MAX 3U

/* The bytes that one entry of a table of LEVEL (1: of 4 KiB pages) spans. */
static uint64_t span_of(unsigned level)
{
    return PAGE_SIZE << 9 * (level - 1);
}

/* An entry on the way to an address, what is in it, and the level of the table that it is in. */
struct place {
    uint64_t *entry;
    uint64_t value;
    unsigned level;
};

static bool is_present(const struct radix *radix, uint64_t entry)
{
    return entry & radix->format->present;
}

static bool is_leaf(const struct radix *radix, uint64_t entry, unsigned level)
{
    const struct radix_format *format = radix->format;

    return level == 1 || (format->next_shift ? (entry >> format->next_shift & 7) == 0
                                             : (entry & format->large) != 0);
}

/* Does the entry in PLACE point to a table? */
static bool is_table(const struct radix *radix, const struct place *place)
{
    return is_present(radix, place->value) && !is_leaf(radix, place->value, place->level);
}

static uint64_t *table_of(uint64_t entry)
{
    return pool_pointer(hpa(entry & ADDRESS));
}

static struct place place_in(uint64_t *table, uint64_t at, unsigned level)
{
    uint64_t *entry = &table[at / span_of(level) % ENTRIES];

    return (struct place){entry, shared_load(entry), level};
}

/* Walk towards AT, to the level TARGET or to where no table leads further. */
static struct place walk(const struct radix *radix, uint64_t at, unsigned target)
{
    struct place place = place_in(pool_pointer(radix->root), at, radix->levels);

    while (place.level > target && is_table(radix, &place)) {
        place = place_in(table_of(place.value), at, place.level - 1);
    }
    return place;
}

/* Where AT is, the address behind what LAST covers: for pages of 4 KiB mostly in the same table. */
static struct place walk_on(const struct radix *radix, uint64_t at, const struct place *last)
{
    if (last->level != 1 || at % span_of(2) == 0) {
        return walk(radix, at, 1);
    }
    return (struct place){last->entry + 1, shared_load(last->entry + 1), 1};
}

static void entry_set(const struct radix *radix, uint64_t *entry, uint64_t value)
{
    shared_store(entry, value);
    if (radix->incoherent) {
        shared_write_back(entry, sizeof(*entry));
    }
}

static uint64_t *table_new(struct radix *radix)
{
    uint64_t *table = radix->is_own ? pool_allocate_table() : pool_allocate(PAGE_SIZE, PAGE_SIZE);

    radix->table_pages += table ? 1 : 0;
    return table;
}

enum status radix_init(struct radix *radix)
{
    radix->table_pages = 0;
    uint64_t *root = table_new(radix);

    if (!root) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    if (radix->incoherent) {
        shared_write_back(root, PAGE_SIZE);
    }
    radix->root = pool_hpa(root);
    return STATUS_OK;
}

/* Not recursive: a stack of as many tables as there are levels. */
void radix_destroy(struct radix *radix)
{
    uint64_t *table[RADIX_LEVELS_MAX + 1] = {0};
    unsigned index[RADIX_LEVELS_MAX + 1] = {0};

    if (radix->root.raw == 0) {
        return;
    }
    table[radix->levels] = pool_pointer(radix->root);
    for (unsigned level = radix->levels; level <= radix->levels;) {
        if (index[level] == ENTRIES) {
            pool_free(table[level++], PAGE_SIZE);
            continue;
        }
        struct place place = {.value = table[level][index[level]++], .level = level};

        if (is_table(radix, &place)) {
            table[--level] = table_of(place.value);
            index[level] = 0;
        }
    }
    radix->root = hpa(0);
    radix->table_pages = 0;
}

static uint64_t leaf_of(const struct radix *radix, uint64_t address, unsigned rights,
                        unsigned level)
{
    const struct radix_format *format = radix->format;

    return address | format->leaf | format->accessed | format->dirty | radix->extra_leaf |
           (rights & RADIX_READ ? format->read : 0) | (rights & RADIX_WRITE ? format->write : 0) |
           (rights & RADIX_EXECUTE ? format->execute : format->no_execute) |
           (rights & RADIX_UNCACHED    ? format->uncached
            : rights & RADIX_COMBINING ? format->combining
                                       : format->cached) |
           (level > 1 ? format->large : 0);
}

/* Put a new table in PLACE, which maps what PLACE did in smaller pages. False: no memory. */
static bool grow(struct radix *radix, struct place *place)
{
    const struct radix_format *format = radix->format;
    uint64_t *table = table_new(radix);
    uint64_t next = format->next_shift ? (place->level - 1ULL) << format->next_shift : 0;

    if (!table) {
        return false;
    }
    if (is_present(radix, place->value)) {
        uint64_t leaf = place->level == 2 ? place->value & ~format->large : place->value;

        for (unsigned i = 0; i < ENTRIES; i++) {
            table[i] = leaf + i * span_of(place->level - 1);
        }
    }
    if (radix->incoherent) {
        shared_write_back(table, PAGE_SIZE); /* before it can be reached */
    }
    place->value = pool_hpa(table).raw | format->table | next;
    entry_set(radix, place->entry, place->value);
    return true;
}

/* Where AT is, behind LAST: at LEVEL or, where a table is already, below. Level 0: no memory. */
static struct place reach(struct radix *radix, uint64_t at, unsigned level,
                          const struct place *last)
{
    struct place place = walk_on(radix, at, last);

    while (place.level > level) {
        if (!grow(radix, &place)) {
            return (struct place){0};
        }
        place = place_in(table_of(place.value), at, place.level - 1);
    }
    return place;
}

/* The level of the largest page that fits at AT and TO, by alignment, size and hardware. */
static unsigned largest_level(const struct radix *radix, uint64_t at, uint64_t to, uint64_t size)
{
    unsigned level = LEAF_LEVEL_MAX;

    while (level > 1 && (!(radix->page_sizes & span_of(level)) || size < span_of(level) ||
                         (at | to) % span_of(level) != 0)) {
        level--;
    }
    return level;
}

static bool range_is_valid(const struct radix *radix, uint64_t at, uint64_t size)
{
    return (at | size) % PAGE_SIZE == 0 && range_fits(at, size, span_of(radix->levels) * ENTRIES);
}

/* The part of SIZE bytes at AT that an entry of LEVEL covers. */
static uint64_t part_of(uint64_t at, uint64_t size, unsigned level)
{
    uint64_t part = span_of(level) - at % span_of(level);

    return part < size ? part : size;
}

enum status radix_map(struct radix *radix, uint64_t at, hpa_t to, uint64_t size, unsigned rights,
                      uint64_t *done)
{
    uint64_t mapped = 0;
    enum status status = STATUS_OK;
    struct place place = {0};

    if (!range_is_valid(radix, at, size) || to.raw % PAGE_SIZE ||
        !range_fits(to.raw, size, HOST_LIMIT)) {
        status = STATUS_NOTE(STATUS_RANGE);
    }
    while (mapped < size && status == STATUS_OK) {
        uint64_t from = at + mapped, base = to.raw + mapped;

        place = reach(radix, from, largest_level(radix, from, base, size - mapped), &place);
        if (place.level == 0) {
            status = STATUS_NOTE(STATUS_NO_MEMORY);
        } else {
            entry_set(radix, place.entry, leaf_of(radix, base, rights, place.level));
            mapped += span_of(place.level);
        }
    }
    if (done) {
        *done = mapped;
    }
    return status;
}

/* What a change puts in the place of a leaf. */
struct change {
    bool unmap;
    bool whole;
    unsigned rights;
};

static enum status change(struct radix *radix, uint64_t at, uint64_t size,
                          const struct change *change, uint64_t *bytes)
{
    struct place place = {0};

    if (!range_is_valid(radix, at, size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (uint64_t step = 0; size > 0; at += step, size -= step) {
        place = walk_on(radix, at, &place);
        step = part_of(at, size, place.level);
        if (!is_present(radix, place.value)) {
            continue;
        }
        if (step < span_of(place.level) && !change->whole) {
            if (!grow(radix, &place)) {
                return STATUS_NOTE(STATUS_NO_MEMORY);
            }
            step = 0; /* again, one level deeper */
            continue;
        }
        uint64_t address = place.value & ADDRESS & ~(span_of(place.level) - 1);

        entry_set(radix, place.entry,
                  change->unmap ? 0 : leaf_of(radix, address, change->rights, place.level));
        *bytes += step;
    }
    return STATUS_OK;
}

enum status radix_unmap(struct radix *radix, uint64_t at, uint64_t size, uint64_t *bytes)
{
    uint64_t unmapped = 0;
    enum status status = change(radix, at, size, &(struct change){.unmap = true}, &unmapped);

    if (bytes) {
        *bytes = unmapped;
    }
    return status;
}

enum status radix_protect(struct radix *radix, uint64_t at, uint64_t size, unsigned rights,
                          bool whole)
{
    uint64_t bytes = 0;

    return change(radix, at, size, &(struct change){.whole = whole, .rights = rights}, &bytes);
}

enum status radix_split(struct radix *radix, uint64_t at, uint64_t size)
{
    if (!range_is_valid(radix, at, size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (uint64_t step; size > 0; at += step, size -= step) {
        struct place place = walk(radix, at, 1);

        step = part_of(at, size, place.level);
        if (is_present(radix, place.value) && place.level > 1) {
            if (!grow(radix, &place)) {
                return STATUS_NOTE(STATUS_NO_MEMORY);
            }
            step = 0; /* again, one level deeper */
        }
    }
    return STATUS_OK;
}

uint64_t radix_take_written(const struct radix *radix, uint64_t at)
{
    uint64_t mark = radix->format->written, found = 0;
    struct place place = walk(radix, at, 1);

    if (place.level > 1) {
        return place.value & mark && is_present(radix, place.value) ? UINT64_MAX : 0;
    }
    for (unsigned i = 0; i < 64; i++) {
        if (shared_load(&place.entry[i]) & mark) {
            shared_clear(&place.entry[i], mark);
            found |= 1ULL << i;
        }
    }
    if (radix->incoherent && found != 0) {
        shared_write_back(place.entry, 64 * sizeof(*place.entry));
    }
    return found;
}

static unsigned rights_of(const struct radix_format *format, uint64_t entry)
{
    bool executable = format->no_execute ? !(entry & format->no_execute)
                                         : (entry & format->execute) == format->execute;
    uint64_t type = entry & format->type;

    return ((entry & format->read) == format->read ? RADIX_READ : 0U) |
           ((entry & format->write) == format->write ? RADIX_WRITE : 0U) |
           (executable ? RADIX_EXECUTE : 0U) |
           (type == format->cached     ? 0U
            : type == format->uncached ? RADIX_UNCACHED
                                       : RADIX_COMBINING);
}

enum status radix_lookup(const struct radix *radix, uint64_t at, struct radix_page *page)
{
    if (!range_fits(at, 1, span_of(radix->levels) * ENTRIES)) {
        return STATUS_NOT_FOUND;
    }
    struct place place = walk(radix, at, 1);
    uint64_t size = span_of(place.level);

    if (!is_present(radix, place.value)) {
        return STATUS_NOT_FOUND;
    }
    *page = (struct radix_page){.address = hpa((place.value & ADDRESS & ~(size - 1)) + at % size),
                                .size = size,
                                .rights = rights_of(radix->format, place.value)};
    return STATUS_OK;
}

bool radix_maps_any(const struct radix *radix, uint64_t at, uint64_t size)
{
    for (uint64_t step; size > 0; at += step, size -= step) {
        struct place place = walk(radix, at, 1);

        if (is_present(radix, place.value)) {
            return true;
        }
        step = part_of(at, size, place.level);
    }
    return false;
}

/* Can one entry stand for the table in PLACE: 0, or a leaf? */
static bool is_spare(const struct radix *radix, const struct place *place, bool merge,
                     uint64_t *value)
{
    const uint64_t *table = table_of(place->value);
    uint64_t first = shared_load(&table[0]), step = span_of(place->level - 1);
    bool leaves = merge && place->level <= LEAF_LEVEL_MAX &&
                  (radix->page_sizes & span_of(place->level)) && is_present(radix, first) &&
                  is_leaf(radix, first, place->level - 1) &&
                  (first & ADDRESS) % span_of(place->level) == 0;

    if (!leaves && is_present(radix, first)) {
        return false;
    }
    for (unsigned i = 1; i < ENTRIES; i++) {
        uint64_t entry = shared_load(&table[i]);

        if (leaves ? entry != first + i * step : is_present(radix, entry)) {
            return false;
        }
    }
    *value = leaves ? first | radix->format->large : 0;
    return true;
}

unsigned radix_prune(struct radix *radix, uint64_t at, uint64_t size, bool merge,
                     uint64_t *pruned[], unsigned count)
{
    unsigned found = 0;

    /* From the leaves up: a table whose last table went becomes spare itself. */
    for (unsigned level = 2; level <= radix->levels; level++) {
        for (uint64_t done = 0, step; done < size && found < count; done += step) {
            struct place place = walk(radix, at + done, level);
            uint64_t value;

            if (place.level == level && is_table(radix, &place) &&
                is_spare(radix, &place, merge, &value)) {
                pruned[found++] = table_of(place.value);
                entry_set(radix, place.entry, value);
            }
            step = part_of(at + done, size - done, place.level);
        }
    }
    return found;
}

void radix_free(struct radix *radix, uint64_t *pruned[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pool_free(pruned[i], PAGE_SIZE);
    }
    radix->table_pages -= count;
}
