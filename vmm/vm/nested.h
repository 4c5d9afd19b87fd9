/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: GPA to HPA, four levels, pages of 1 GiB, 2 MiB and 4 KiB. The same code
 * serves AMD's format (APM 2, 15.25.5) and Intel's (SDM 3, 29.3.2), which differ in the bits only.
 *
 * Entries are changed by one thread at a time; CPUs that walk the tables meanwhile see each entry
 * before or after its change, never half. Who takes rights away flushes the VM's vCPUs afterwards.
 */
#ifndef PORTOLAN_VMM_VM_NESTED_H
#define PORTOLAN_VMM_VM_NESTED_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define NESTED_LEVELS 4U

enum nested_rights {
    NESTED_READ = 1U << 0, /* always included */
    NESTED_WRITE = 1U << 1,
    NESTED_EXECUTE = 1U << 2,
    NESTED_UNCACHED = 1U << 3, /* device registers */
};

/* The bits of a vendor's entries. */
struct nested_format {
    uint64_t present;    /* any of them set: the entry means something */
    uint64_t table;      /* an entry that points to a table */
    uint64_t read;       /* what every leaf has */
    uint64_t write;      /* what a writable leaf has besides */
    uint64_t execute;    /* an executable one */
    uint64_t no_execute; /* one that is not */
    uint64_t cached;
    uint64_t uncached;
    uint64_t large; /* a leaf of 2 MiB or 1 GiB */
};

struct nested {
    const struct nested_format *format;
    uint64_t *root;
    uint32_t table_pages;
    bool giant_pages; /* the CPU knows leaves of 1 GiB */
};

/* An empty tree. NO_MEMORY. */
enum status nested_init(struct nested *nested, const struct nested_format *format,
                        bool giant_pages);

/* Give all tables back. No CPU walks them any more. */
void nested_destroy(struct nested *nested);

hpa_t nested_root(const struct nested *nested);

/*
 * Map SIZE bytes at AT to TO with RIGHTS (enum nested_rights), in the largest pages that fit, in
 * place of what was mapped there; larger pages are split where they must be. All are multiples of
 * 4 KiB; guest addresses end at 2^48, the host's at 2^52. RANGE, or NO_MEMORY: then a part may have
 * been mapped.
 */
enum status nested_map(struct nested *nested, gpa_t at, hpa_t to, uint64_t size, unsigned rights);

/* Map nothing there. RANGE, NO_MEMORY (a split) as above. */
enum status nested_unmap(struct nested *nested, gpa_t at, uint64_t size);

/* What AT is mapped to: NOT_FOUND, or the address, the rights and the size of the page. */
enum status nested_lookup(const struct nested *nested, gpa_t at, hpa_t *to, unsigned *rights,
                          uint64_t *page_size);

#endif
