/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM's own page tables: four levels, W^X always, everything outside what was asked for
 * unmapped. AMD APM 2, section 5.3; Intel SDM 3, section 4.5.
 */
#ifndef PORTOLAN_VMM_HOST_PAGING_H
#define PORTOLAN_VMM_HOST_PAGING_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

enum paging_rights {
    PAGING_READ = 0,
    PAGING_WRITE = 1 << 0,
    PAGING_EXECUTE = 1 << 1,         /* never with PAGING_WRITE */
    PAGING_UNCACHED = 1 << 2,        /* strong UC */
    PAGING_WRITE_COMBINING = 1 << 3, /* needs PAGING_PAT in IA32_PAT */
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
 * largest pages that alignment allows up to 2 MiB. INVALID: write and execute together; CONFLICT:
 * something is mapped there; NO_MEMORY: no page for a table. What was mapped before the failure
 * stays. Any CPU; takes the lock.
 */
enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights);

/* Unmap whole 4 KiB or 2 MiB pages, mapped or not, and flush them on this CPU only. */
void paging_unmap(uint64_t va, uint64_t size);

/* What VA is mapped to; NOT_FOUND if it is not. RIGHTS may be NULL. For checks and for the dump. */
enum status paging_lookup(uint64_t va, hpa_t *address, unsigned *rights);

/* Pages used for tables. */
uint64_t paging_table_pages(void);

#endif
