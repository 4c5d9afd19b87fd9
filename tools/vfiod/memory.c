/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* twalk_r() */
#include "tools/vfiod/memory.h"

#include "tools/vfiod/backing.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_PAGE   4096U
#define RANGES_MAX 64U

struct map {
    uint64_t address, size;
    bool readable, writable;
    struct backing *backing; /* NULL: none, it can be had by messages only */
    uint8_t *base;
    uint64_t *written; /* a bit for each page; NULL: it is not noted */
};

static void *tree;       /* of maps, which do not overlap, by address */
static struct map *last; /* that was looked up */

static bool logging;
static struct vfio_user_area logged[RANGES_MAX];
static uint32_t logged_count; /* 0: everything is */

/* What overlaps is equal. */
static int compare(const void *a, const void *b)
{
    const struct map *x = a, *y = b;

    if (x->address + (x->size - 1) < y->address) {
        return -1;
    }
    return x->address > y->address + (y->size - 1) ? 1 : 0;
}

/* The map that shares a byte with these; NULL: none does. */
static struct map *find(uint64_t address, uint64_t size)
{
    const struct map wanted = {.address = address, .size = size};
    struct map *const *found;

    if (size == 0 || size - 1 > UINT64_MAX - address) {
        return NULL;
    }
    found = tfind(&wanted, &tree, compare);
    return found == NULL ? NULL : *found;
}

static bool allows(const struct map *map, bool write)
{
    return write ? map->writable : map->readable;
}

/* ---- For the function ---- */

static void mark(struct map *map, uint64_t offset, uint64_t length)
{
    for (uint64_t page = offset / LOG_PAGE; page <= (offset + length - 1) / LOG_PAGE; page++) {
        map->written[page / 64] |= 1ULL << page % 64;
    }
}

static struct map *map_of(uint64_t iova)
{
    if (last == NULL || iova - last->address >= last->size) {
        struct map *found = find(iova, 1);

        if (found == NULL) {
            return NULL;
        }
        last = found;
    }
    return last;
}

void *memory_at(uint64_t iova, uint64_t length, bool write)
{
    struct map *map = map_of(iova);

    if (map == NULL || map->base == NULL || length == 0 || !allows(map, write) ||
        length > map->size - (iova - map->address)) {
        return NULL;
    }
    if (write && map->written != NULL) {
        mark(map, iova - map->address, length);
    }
    return map->base + (iova - map->address);
}

static uint64_t run(uint64_t iova, uint64_t length, bool write, bool far)
{
    const struct map *map = map_of(iova);
    uint64_t rest;

    if (map == NULL || (map->base == NULL) != far || !allows(map, write)) {
        return 0;
    }
    rest = map->size - (iova - map->address);
    return length < rest ? length : rest;
}

uint64_t memory_run(uint64_t iova, uint64_t length, bool write)
{
    return run(iova, length, write, false);
}

uint64_t memory_far_run(uint64_t iova, uint64_t length, bool write)
{
    return run(iova, length, write, true);
}

/* ---- Maps ---- */

static bool is_logged(const struct map *map)
{
    for (uint32_t i = 0; i < logged_count; i++) {
        const struct map range = {.address = logged[i].offset, .size = logged[i].size};

        if (compare(map, &range) == 0) {
            return true;
        }
    }
    return logged_count == 0;
}

static size_t marks_size(const struct map *map)
{
    return (map->size / LOG_PAGE / 64 + 1) * sizeof(*map->written);
}

/* Begin to note what is written to MAP, if that is wanted. False: there is no memory for it. */
static bool log_map(struct map *map)
{
    if (!logging || map->base == NULL || map->written != NULL || !is_logged(map)) {
        return true;
    }
    map->written = calloc(1, marks_size(map));
    return map->written != NULL;
}

static void free_map(void *at)
{
    struct map *map = at;

    backing_release(map->backing);
    free(map->written);
    free(map);
}

static enum status add(const struct vfio_user_map *from)
{
    struct map *map = calloc(1, sizeof(*map));
    enum status status = STATUS_OK;

    if (map == NULL) {
        return STATUS_NO_MEMORY;
    }
    map->address = from->address;
    map->size = from->size;
    map->readable = from->readable;
    map->writable = from->writable;
    if (from->handle != NO_HANDLE) {
        status = backing_find(from, &map->backing);
        map->base = status == STATUS_OK ? map->backing->base + from->offset : NULL;
    }
    if (status == STATUS_OK && (!log_map(map) || tsearch(map, &tree, compare) == NULL)) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        free_map(map);
    }
    return status;
}

enum status memory_map(const struct vfio_user_map *map)
{
    enum status status = find(map->address, map->size) != NULL ? STATUS_CONFLICT : add(map);

    if (map->handle != NO_HANDLE) {
        (void)close(map->handle);
    }
    return status;
}

static struct map *find_exact(uint64_t address, uint64_t size)
{
    struct map *map = find(address, size);

    return map != NULL && map->address == address && map->size == size ? map : NULL;
}

void *memory_base(uint64_t address, uint64_t size)
{
    const struct map *map = find_exact(address, size);

    return map != NULL ? map->base : NULL;
}

/* ---- What is left of a map of which a part goes ---- */

static bool is_written(const struct map *map, uint64_t page)
{
    return (map->written[page / 64] >> page % 64 & 1) != 0;
}

/* MAP begins SIZE bytes later. */
static void cut_front(struct map *map, uint64_t size)
{
    map->address += size;
    map->size -= size;
    if (map->base != NULL) {
        map->base += size;
    }
    for (uint64_t page = 0; map->written != NULL && page < map->size / LOG_PAGE; page++) {
        uint64_t bit = 1ULL << page % 64;
        bool was = is_written(map, page + size / LOG_PAGE);

        map->written[page / 64] = (map->written[page / 64] & ~bit) | (was ? bit : 0);
    }
}

/* MAP ends after SIZE bytes, what is from NEXT on becomes a map of its own. False: there is no
 * memory for that, and nothing changed. */
static bool split(struct map *map, uint64_t size, uint64_t next)
{
    struct map *rest = malloc(sizeof(*rest));
    uint64_t whole = map->size;

    if (rest == NULL) {
        return false;
    }
    *rest = *map;
    rest->written = NULL;
    if (rest->backing != NULL) {
        rest->backing->users++;
    }
    if (map->written != NULL) {
        rest->written = malloc(marks_size(map));
        if (rest->written == NULL) {
            free_map(rest);
            return false;
        }
        memcpy(rest->written, map->written, marks_size(map));
    }
    cut_front(rest, next);
    map->size = size;
    if (tsearch(rest, &tree, compare) == NULL) {
        map->size = whole;
        free_map(rest);
        return false;
    }
    return true;
}

enum status memory_unmap(uint64_t address, uint64_t size, uint32_t *left)
{
    struct map *map = find(address, size);
    uint64_t before, behind;
    uint32_t rest;

    if (map == NULL || address < map->address || size > map->size - (address - map->address)) {
        return STATUS_NOT_FOUND;
    }
    before = address - map->address;
    behind = map->size - before - size;
    rest = (before != 0) + (behind != 0);
    if (rest > *left) {
        return *left == 0 ? STATUS_NOT_FOUND : STATUS_NO_ROOM;
    }
    last = NULL;
    if (rest == 0) {
        (void)tdelete(map, &tree, compare);
        free_map(map);
    } else if (before == 0) {
        cut_front(map, size);
    } else if (behind == 0) {
        map->size = before;
    } else if (!split(map, before, before + size)) {
        return STATUS_NO_MEMORY;
    }
    *left = rest;
    return STATUS_OK;
}

void memory_unmap_all(void)
{
    last = NULL;
    tdestroy(tree, free_map);
    tree = NULL;
}

/* ---- The log ---- */

static bool out_of_memory;

static void begin_log(const void *node, VISIT visit, int depth)
{
    (void)depth;
    if (visit == postorder || visit == leaf) {
        struct map *map = *(struct map *const *)node;

        out_of_memory |= !log_map(map);
    }
}

static void end_log(const void *node, VISIT visit, int depth)
{
    (void)depth;
    if (visit == postorder || visit == leaf) {
        struct map *map = *(struct map *const *)node;

        free(map->written);
        map->written = NULL;
    }
}

enum status memory_log_stop(void)
{
    if (!logging) {
        return STATUS_STATE;
    }
    logging = false;
    twalk(tree, end_log);
    return STATUS_OK;
}

enum status memory_log_start(uint64_t *page_size, const struct vfio_user_area *range,
                             uint32_t count)
{
    if (logging) {
        return STATUS_STATE;
    }
    if (count > RANGES_MAX) {
        return STATUS_RANGE;
    }
    if (count != 0) {
        memcpy(logged, range, count * sizeof(*range));
    }
    logged_count = count;
    *page_size = LOG_PAGE;
    logging = true;
    out_of_memory = false;
    twalk(tree, begin_log);
    if (out_of_memory) {
        (void)memory_log_stop();
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

struct report {
    const struct vfio_user_area *range;
    uint64_t page_size;
    uint8_t *bitmap;
};

/* Move the marks of MAP's part within the range to the bitmap. */
static void report_map(struct map *map, const struct report *r)
{
    uint64_t from = map->address > r->range->offset ? map->address : r->range->offset;
    uint64_t map_last = map->address + (map->size - 1);
    uint64_t range_last = r->range->offset + (r->range->size - 1);
    uint64_t end = map_last < range_last ? map_last : range_last; /* inclusive */

    for (uint64_t page = (from - map->address) / LOG_PAGE; page <= (end - map->address) / LOG_PAGE;
         page++) {
        uint64_t *word = &map->written[page / 64], bit = 1ULL << page % 64;
        uint64_t at = map->address + page * LOG_PAGE;

        if (*word == 0) {
            page |= 63;
        } else if ((*word & bit) != 0) {
            uint64_t n = at < r->range->offset ? 0 : (at - r->range->offset) / r->page_size;

            *word &= ~bit;
            r->bitmap[n / 8] |= (uint8_t)(1U << n % 8);
        }
    }
}

static void report(const void *node, VISIT visit, void *closure)
{
    const struct report *r = closure;

    if (visit == postorder || visit == leaf) {
        struct map *map = *(struct map *const *)node;
        const struct map range = {.address = r->range->offset, .size = r->range->size};

        if (map->written != NULL && compare(map, &range) == 0) {
            report_map(map, r);
        }
    }
}

enum status memory_log_report(const struct vfio_user_area *range, uint64_t page_size,
                              uint8_t *bitmap)
{
    struct report r = {range, page_size, bitmap};

    if (!logging) {
        return STATUS_STATE;
    }
    twalk_r(tree, report, &r);
    return STATUS_OK;
}
