/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct backing *backings;
static volatile sig_atomic_t lost;

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

bool backing_init(void)
{
    const struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    return sigaction(SIGBUS, &action, NULL) == 0;
}

bool backing_was_lost(void)
{
    bool was = lost != 0;

    lost = 0;
    return was;
}

void backing_release(struct backing *backing)
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

enum status backing_find(const struct vfio_user_map *map, struct backing **out)
{
    int file = map->handle;
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
