/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables that an IOMMU walks. VT-d's second-stage tables and AMD-Vi's host tables are both
 * radix trees of 512 64-bit entries; struct iommu_page_format says in which bits they differ.
 *
 * Nothing here invalidates a unit's caches: what is unmapped or pruned may be used by hardware
 * until its owner (domain.c) has done that.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_PAGE_TABLE_H
#define PORTOLAN_DRIVERS_IOMMU_PAGE_TABLE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define IOMMU_LEVELS_MAX 5U

struct iommu_page_format {
    uint64_t present;    /* an entry with any of these bits is in use */
    uint64_t address;    /* the bits of a physical address */
    uint64_t table;      /* set in an entry that points to a table */
    unsigned next_shift; /* where the level of that table goes; 0: nowhere */
    uint64_t read;
    uint64_t write;
    uint64_t leaf;       /* set in every entry that maps memory */
    uint64_t large;      /* and in those above level 1 */
    uint64_t leaf_mask;  /* above level 1: (entry & leaf_mask) == leaf_value */
    uint64_t leaf_value; /* for an entry that maps memory */
};

struct iommu_table {
    const struct iommu_page_format *format;
    uint64_t *root;
    uint64_t page_sizes; /* bits of PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_1G */
    uint64_t extra_leaf; /* more bits for every entry that maps memory */
    uint64_t pages;      /* tables, with the root */
    uint8_t levels;      /* 3..IOMMU_LEVELS_MAX */
    bool coherent;       /* else what is written is brought to memory at once */
};

/* Give *TABLE, whose other members are set, an empty root. NO_MEMORY. */
enum status iommu_table_create(struct iommu_table *table);

/*
 * Map SIZE bytes of whole pages at IOVA to BASE. Addresses are in range. CONFLICT, with nothing
 * changed: a part is mapped. NO_MEMORY: up to *DONE bytes are mapped, and there may be tables
 * for the rest.
 */
enum status iommu_table_map(struct iommu_table *table, uint64_t iova, uint64_t base, uint64_t size,
                            unsigned rights, uint64_t *done);

/* Would clearing [IOVA, IOVA + SIZE) cut a page? */
bool iommu_table_cuts(const struct iommu_table *table, uint64_t iova, uint64_t size);

/* Clear every mapping in the range, which cuts none; the tables stay. Returns bytes unmapped. */
uint64_t iommu_table_clear(struct iommu_table *table, uint64_t iova, uint64_t size);

/*
 * Take up to COUNT empty tables that lie under the range out of the tree, into PRUNED. The caller
 * invalidates, then frees them with iommu_table_free(); until then they are not to be touched.
 * Returns how many; call again until it is 0.
 */
unsigned iommu_table_prune(struct iommu_table *table, uint64_t iova, uint64_t size,
                           uint64_t *pruned[], unsigned count);

void iommu_table_free(struct iommu_table *table, uint64_t *pruned[], unsigned count);

/* Give back the root of a table that maps nothing, and no unit uses. */
void iommu_table_destroy(struct iommu_table *table);

/* What IOVA is mapped to; NOT_FOUND. */
enum status iommu_table_lookup(const struct iommu_table *table, uint64_t iova, hpa_t *base,
                               unsigned *rights);

#endif
