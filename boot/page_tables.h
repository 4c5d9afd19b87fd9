/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page tables that a boot loader enters the core with: all RAM one to one (reserved and device
 * space must not be touched), and the core at HANDOFF_CORE_VA. Four levels (AMD APM vol. 2, 5.3);
 * everything readable, writable, executable.
 */
#ifndef PORTOLAN_BOOT_PAGE_TABLES_H
#define PORTOLAN_BOOT_PAGE_TABLES_H

#include "boot/handoff.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* RAM from here on has no one-to-one address: the lower half of the canonical ones ends here. */
#define BOOT_TABLES_LIMIT (1ULL << 47)

/* Used one page after the other; the loader fills in everything but used. */
struct boot_tables {
    uint64_t *pool; /* page_count pages, page-aligned; the first becomes the root */
    hpa_t base;     /* of pool */
    size_t page_count;
    bool has_1g; /* CPUID 80000001 EDX[26] */
    size_t used;
};

/*
 * The exact number of pages that boot_tables_build() takes for these REGIONS (sorted, disjoint)
 * and a core of CORE_SIZE bytes.
 */
size_t boot_tables_page_count(const struct handoff_region *regions, size_t count, bool has_1g,
                              uint64_t core_size);

/* Regions that split after the count, and reserved memory that becomes free, may need so many more.
 */
#define BOOT_TABLES_SLACK 16UL
/* 256 MiB of page tables would map 64 TiB in 2 MiB pages; a map that wants more is nonsense. */
#define BOOT_TABLES_MAX 65536UL

/*
 * Build from scratch in TABLES->pool; what was there is lost. The one-to-one map has 2 MiB pages,
 * and 1 GiB pages where a region fills one (a larger page that reached into reserved space would
 * let the CPU read there ahead of time). STATUS_NO_MEMORY: the pool is too small.
 */
enum status boot_tables_build(struct boot_tables *tables, const struct handoff_region *regions,
                              size_t count, hpa_t core_base, uint64_t core_size);

#endif
