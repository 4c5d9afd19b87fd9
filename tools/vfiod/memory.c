/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* twalk_r() */
#include "tools/vfiod/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LOG_PAGE   4096U
#define RANGES_MAX 64U

/*
 * A file that the client gave, mapped as a whole and once, however many maps show parts of it: a
 * client with an IOMMU has more maps than a process may have mappings.
 */
struct backing {
    struct backing *next;
    dev_t dev;
    ino_t inode;
    uint8_t *base;
    uint64_t size, page;
    bool writable;
    unsigned users;
};

struct map {
    uint64_t address, size;
    bool readable, writable;
    struct backing *backing; /* NULL: none, it can be had by messages only */
    uint8_t *base;
    uint64_t *written; /* a bit for each page; NULL: it is not noted */
};

static void *tree; /* of maps, which do not overlap, by address */
static struct backing *backings;
static struct map *last; /* that was looked up */
static volatile sig_atomic_t lost;

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
    return map->base != NULL && (write ? map->writable : map->readable);
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

    if (map == NULL || length == 0 || !allows(map, write) ||
        length > map->size - (iova - map->address)) {
        return NULL;
    }
    if (write && map->written != NULL) {
        mark(map, iova - map->address, length);
    }
    return map->base + (iova - map->address);
}

uint64_t memory_run(uint64_t iova, uint64_t length, bool write)
{
    const struct map *map = map_of(iova);
    uint64_t rest;

    if (map == NULL || !allows(map, write)) {
        return 0;
    }
    rest = map->size - (iova - map->address);
    return length < rest ? length : rest;
}

/* ---- Files ---- */

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;

    (void)number;
    (void)context;
    for (struct backing *b = backings; b != NULL; b = b->next) {
        if (at >= b->base && at < b->base + b->size) {
            uint8_t *page = b->base + align_down((uint64_t)(at - b->base), b->page);
            int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

            lost = 1;
            if (mmap(page, b->page, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED) {
                return;
            }
        }
    }
    abort(); /* it is our own fault */
}

bool memory_init(void)
{
    const struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    return sigaction(SIGBUS, &action, NULL) == 0;
}

bool memory_was_lost(void)
{
    bool was = lost != 0;

    lost = 0;
    return was;
}

static void release(struct backing *backing)
{
    struct backing **at = &backings;

    if (backing == NULL || --backing->users != 0) {
        return;
    }
    while (*at != backing) {
        at = &(*at)->next;
    }
    *at = backing->next;
    (void)munmap(backing->base, backing->size);
    free(backing);
}

/* Map FILE, of which STAT tells. */
static enum status open_backing(int file, const struct stat *stat, struct backing **out)
{
    struct backing *b = calloc(1, sizeof(*b));
    int mode = fcntl(file, F_GETFL);
    struct statfs fs;

    if (b == NULL) {
        return STATUS_NO_MEMORY;
    }
    b->dev = stat->st_dev;
    b->inode = stat->st_ino;
    b->writable = (mode & O_ACCMODE) == O_RDWR;
    b->page = PAGE_SIZE;
    if (fstatfs(file, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
        b->page = (uint64_t)fs.f_bsize;
    }
    b->size = align_up((uint64_t)stat->st_size, b->page);
    b->base = mmap(NULL, b->size, PROT_READ | (b->writable ? PROT_WRITE : 0),
                   MAP_SHARED | MAP_NORESERVE, file, 0);
    if (b->base == MAP_FAILED) {
        enum status status = errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_INVALID;

        free(b);
        return status;
    }
    b->next = backings;
    backings = b;
    *out = b;
    return STATUS_OK;
}

/* The part of FILE that MAP shows, mapped; one user more. */
static enum status find_backing(int file, const struct vfio_user_map *map, struct backing **out)
{
    struct stat stat;
    bool writes;

    if (fstat(file, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0 ||
        !range_fits(map->offset, map->size, align_up((uint64_t)stat.st_size, PAGE_SIZE))) {
        return STATUS_INVALID;
    }
    /* What the client may not do with its handle we do not do for it. */
    writes = (fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR;
    if (map->writable && !writes) {
        return STATUS_INVALID;
    }
    for (*out = backings; *out != NULL; *out = (*out)->next) {
        struct backing *b = *out;

        if (b->dev == stat.st_dev && b->inode == stat.st_ino && b->writable == writes &&
            range_fits(map->offset, map->size, b->size)) {
            break;
        }
    }
    if (*out == NULL) {
        enum status status = open_backing(file, &stat, out);

        if (status != STATUS_OK) {
            return status;
        }
    }
    (*out)->users++;
    return STATUS_OK;
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

/* Begin to note what is written to MAP, if that is wanted. False: there is no memory for it. */
static bool log_map(struct map *map)
{
    if (!logging || map->base == NULL || map->written != NULL || !is_logged(map)) {
        return true;
    }
    map->written = calloc(map->size / LOG_PAGE / 64 + 1, sizeof(*map->written));
    return map->written != NULL;
}

static void free_map(void *at)
{
    struct map *map = at;

    release(map->backing);
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
        status = find_backing(from->handle, from, &map->backing);
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

enum status memory_unmap(uint64_t address, uint64_t size)
{
    struct map *map = find(address, size);

    if (map == NULL || map->address != address || map->size != size) {
        return STATUS_NOT_FOUND;
    }
    last = NULL;
    (void)tdelete(map, &tree, compare);
    free_map(map);
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
