/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory: which of the machine's frames are free. The memory is not touched here, and not
 * mapped.
 */
#ifndef PORTOLAN_VMM_HOST_FRAME_H
#define PORTOLAN_VMM_HOST_FRAME_H

#include "boot/handoff.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define FRAME_ANYWHERE UINT64_MAX
#define FRAME_BELOW_1M (1ULL << 20)
#define FRAME_BELOW_4G (1ULL << 32)

struct frame_counters {
    uint64_t ram;     /* bytes of RAM by the firmware's map, whatever its use */
    uint64_t usable;  /* bytes that were free at boot */
    uint64_t free;    /* bytes that are free now */
    uint64_t largest; /* bytes of the longest free run of whole 2 MiB frames */
};

/*
 * Take the USABLE regions of the loader's map. What is odd in it (unsorted, overlapping, wrapping,
 * beyond the CPU's PHYSICAL_BITS address bits) is left out with a warning; where regions overlap, a
 * use other than USABLE wins. Page 0 is never given out. NO_MEMORY when nothing is left. Boot CPU,
 * once.
 */
enum status frame_init(const struct handoff_region *regions, size_t count, unsigned physical_bits);

/*
 * Take SIZE bytes (whole pages, > 0), aligned to ALIGN (>= a page, a power of two), below LIMIT.
 * Memory above 1 MiB is taken first, so that what only the low megabyte can do stays possible.
 * NO_MEMORY: there is no such run. Any CPU; takes the lock.
 */
enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base);

/* Give frames back. CONFLICT: a part is free already; RANGE: never ours. The set is unchanged then.
 */
enum status frame_free(hpa_t base, uint64_t size);

struct frame_counters frame_count(void);

#endif
