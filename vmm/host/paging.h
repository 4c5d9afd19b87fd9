/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM's own page tables: four levels, W^X always, everything outside what was asked for
 * unmapped. AMD APM 2, section 5.3; Intel SDM 3, section 4.5.
 */
#ifndef PORTOLAN_VMM_HOST_PAGING_H
#define PORTOLAN_VMM_HOST_PAGING_H

#include "boot/handoff.h"
#include "vmm/host/radix.h"

enum paging_rights {
    PAGING_READ = 0,
    PAGING_WRITE = RADIX_WRITE,
    PAGING_EXECUTE = RADIX_EXECUTE,    /* never with PAGING_WRITE */
    PAGING_UNCACHED = RADIX_UNCACHED,  /* strong UC */
    PAGING_COMBINING = RADIX_COMBINING /* write-combining: needs PAGING_PAT in IA32_PAT */
};

/*
 * IA32_PAT of every CPU: as at reset, but entry 1 (PWT alone) is write-combining, not
 * write-through; strong UC is entry 3.
 */
#define PAGING_PAT 0x0007040600070106ULL

/* Make an empty root; needs the pool. Boot CPU, once. */
enum status paging_init(void);

/* The physical address for CR3; below 4 GiB, so that a CPU can load it before it has long mode. */
hpa_t paging_root(void);

/*
 * Map SIZE bytes at VA (both page-aligned, canonical, not mapped yet) to BASE with RIGHTS, in the
 * largest pages that alignment allows up to 2 MiB. INVALID: write and execute together; CONFLICT,
 * with nothing changed: something is mapped there; NO_MEMORY: no page for a table; what was mapped
 * before that stays. Any CPU; takes the lock.
 */
enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights);

/* Unmap what is mapped there, and flush it on this CPU only. A large page that cannot be split for
 * lack of memory stays. Any CPU; takes the lock. */
void paging_unmap(uint64_t va, uint64_t size);

/* Pages used for tables. */
uint64_t paging_table_pages(void);

/* ---- vmm_tables.c: the first tables of the VMM, and what host tests fake ---- */

/* Build them on the loader's, after pool_init(): the image by section, and the pool's direct view.
 */
enum status vmm_tables_build(const struct handoff *handoff);

/* Switch to them; from here on nothing is mapped one to one. */
void vmm_tables_load(void);

/* Bytes of the image in memory. */
uint64_t vmm_image_size(void);

/* Forget this CPU's translation of the page that holds VA. */
void flush_local_page(uint64_t va);

#endif
