/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables that hardware walks: the VMM's own, nested tables, and the IOMMUs'. All are radix
 * trees of 512 64-bit entries; struct radix_format says in which bits they differ. AMD APM 2, 5.3
 * and 15.25.5; Intel SDM 3, 4.5 and 29.3.2; VT-d 4.1, 9.8; AMD IOMMU 3.08, 2.2.3.
 *
 * No function takes a lock or waits: one thread at a time changes a tree. Hardware that walks it
 * meanwhile sees each entry before or after its change, never half. Nothing here flushes: what was
 * unmapped, protected or pruned may be in use until the tree's owner has done that.
 */
#ifndef PORTOLAN_VMM_HOST_RADIX_H
#define PORTOLAN_VMM_HOST_RADIX_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define RADIX_LEVELS_MAX 5U

enum radix_rights {
    RADIX_READ = 1U << 0, /* always included where a format has no bit for it */
    RADIX_WRITE = 1U << 1,
    RADIX_EXECUTE = 1U << 2,
    RADIX_UNCACHED = 1U << 3, /* device registers */
    RADIX_COMBINING = 1U << 4 /* write-combining; only where the format has it */
};

struct radix_format {
    uint64_t present; /* an entry with any of these bits is in use */
    uint64_t table;   /* set in an entry that points to a table */
    uint64_t leaf;    /* set in every entry that maps memory */
    uint64_t read;    /* and in one with this right ... */
    uint64_t write;
    uint64_t execute;
    uint64_t no_execute; /* ... or without */
    uint64_t type;       /* the bits that say how memory is cached, and their values */
    uint64_t cached;
    uint64_t uncached;
    uint64_t combining;
    uint64_t large;      /* an entry above level 1 that maps memory */
    uint64_t accessed;   /* both are set beforehand, so that hardware */
    uint64_t dirty;      /* never writes to a table; */
    uint64_t written;    /* or what it sets when it writes to a page, where it does so */
    unsigned next_shift; /* where an entry has the level of the next table; 0: nowhere */
};

/* The first members are set by who makes it. */
struct radix {
    const struct radix_format *format;
    uint64_t page_sizes; /* bits of PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_1G */
    uint64_t extra_leaf; /* more bits for every entry that maps memory */
    uint8_t levels;      /* 3..RADIX_LEVELS_MAX; addresses are below 2^(12 + 9 * levels) */
    bool incoherent;     /* hardware does not snoop: what is written is brought to memory at once */
    bool is_own;         /* the VMM's own: tables come out of the pool's reserve */
    hpa_t root;          /* 0: it has none. No pointer: the pool may move its view of memory */
    uint64_t table_pages; /* with the root */
};

/* What an address is mapped to. */
struct radix_page {
    hpa_t address;
    uint64_t size; /* of the whole page */
    unsigned rights;
};

/* Give *RADIX an empty root. NO_MEMORY. */
enum status radix_init(struct radix *radix);

/* Give all tables back. No hardware walks them any more. */
void radix_destroy(struct radix *radix);

/*
 * Map SIZE bytes at AT to TO with RIGHTS (enum radix_rights), in the largest pages that fit, in
 * place of what was mapped there; larger pages are split where they must be. All are multiples of
 * 4 KiB. RANGE: beyond what the tree or an entry (2^52) can hold; NO_MEMORY. Of a failure's work
 * the first *DONE bytes stay; DONE may be NULL.
 */
enum status radix_map(struct radix *radix, uint64_t at, hpa_t to, uint64_t size, unsigned rights,
                      uint64_t *done);

/* Map nothing there. *BYTES, which may be NULL, says how much was. RANGE; NO_MEMORY: a split. */
enum status radix_unmap(struct radix *radix, uint64_t at, uint64_t size, uint64_t *bytes);

/*
 * Give what is mapped there RIGHTS instead. A larger page that the range cuts is split, or changed
 * as a whole with WHOLE. RANGE; NO_MEMORY: a split, never with WHOLE.
 */
enum status radix_protect(struct radix *radix, uint64_t at, uint64_t size, unsigned rights,
                          bool whole);

/* Map what is mapped there in pages of 4 KiB. RANGE; NO_MEMORY, and some of it is. */
enum status radix_split(struct radix *radix, uint64_t at, uint64_t size);

/*
 * Which of the 64 pages of 4 KiB from AT on, a multiple of their size, has hardware written to
 * since the last call? Bit n: page n; of a larger page, which keeps its mark, all. The caller
 * flushes, or what is written next is not marked.
 */
uint64_t radix_take_written(const struct radix *radix, uint64_t at);

/* NOT_FOUND: nothing is mapped at AT. */
enum status radix_lookup(const struct radix *radix, uint64_t at, struct radix_page *page);

/* Is any of the range mapped? It is valid. */
bool radix_maps_any(const struct radix *radix, uint64_t at, uint64_t size);

/*
 * Take up to COUNT tables under the range out of the tree, into PRUNED: those that map nothing, and
 * with MERGE those that a larger page can stand for. The caller flushes, then frees them with
 * radix_free(); until then they are not to be touched. Returns how many; call again until it is 0.
 */
unsigned radix_prune(struct radix *radix, uint64_t at, uint64_t size, bool merge,
                     uint64_t *pruned[], unsigned count);

void radix_free(struct radix *radix, uint64_t *pruned[], unsigned count);

#endif
