/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's memory, as its DMA_MAP messages show it. One client, one thread.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_MEMORY_H
#define PORTOLAN_TOOLS_VFIOD_MEMORY_H

#include "tools/vfiod/vfio_user_device.h"

/*
 * Where the LENGTH bytes at IOVA are mapped here; valid until vdev_memory_leaves() was called for
 * them, or the daemon's loop is reached, whichever the caller knows of. NULL: they do not lie
 * within one map, or the client does not allow it. With WRITE their pages count as written from now
 * on.
 *
 * The client may change what is there at any time: read a value once, then check it. It may also
 * take the memory itself away (truncate its file): then zeroes are there, and the client is dropped
 * soon.
 */
void *memory_at(uint64_t iova, uint64_t length, bool write);

/* How many bytes from IOVA on, LENGTH at most, lie within one map; 0: none. For those who can go on
 * in the next map. */
uint64_t memory_run(uint64_t iova, uint64_t length, bool write);

/* The same of a map without a file: far.h. */
uint64_t memory_far_run(uint64_t iova, uint64_t length, bool write);

/* ---- For the daemon ---- */

/* Where the map that is exactly this shows its file, whatever the client allows there. NULL: there
 * is no such map, or it has no file. */
void *memory_base(uint64_t address, uint64_t size);

/* As vfio_user_edge_map() and others have it. */
enum status memory_map(const struct vfio_user_map *map);
enum status memory_unmap(uint64_t address, uint64_t size, uint32_t *left);
void memory_unmap_all(void);
enum status memory_log_start(uint64_t *page_size, const struct vfio_user_area *range,
                             uint32_t count);
enum status memory_log_stop(void);
enum status memory_log_report(const struct vfio_user_area *range, uint64_t page_size,
                              uint8_t *bitmap);

#endif
