/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that the client gave for its memory. One client, one thread. */
#ifndef PORTOLAN_TOOLS_VFIOD_BACKING_H
#define PORTOLAN_TOOLS_VFIOD_BACKING_H

#include "tools/vfiod/vfio_user_device.h"

#include <sys/types.h>

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

/* The mapped file of MAP's handle, with room for what MAP shows of it; one user more. The handle
 * stays the caller's. INVALID: it is no such file, or is not to be written; NO_MEMORY. */
enum status backing_find(const struct vfio_user_map *map, struct backing **out);

/* One user less; NULL: there is nothing to do. */
void backing_release(struct backing *backing);

/* Survive accesses to memory that the client took away. False: it cannot be. Once. */
bool backing_init(void);

/* The client took memory away since the last call. */
bool backing_was_lost(void);

#endif
