/* SPDX-License-Identifier: BSD-2-Clause */
/* A radix tree of any of the formats that there are. */
#ifndef PORTOLAN_TESTS_UNIT_MEM_RADIX_TREE_H
#define PORTOLAN_TESTS_UNIT_MEM_RADIX_TREE_H

#include "vmm/host/radix.h"

#define TREE_TOP (1ULL << 48)
#define TREE_RWX (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE)

enum { TREE_NPT, TREE_EPT, TREE_OWN, TREE_VTD, TREE_AMDVI, TREE_KINDS };

extern struct radix tree;
extern unsigned tree_kind; /* of its format */

/* An empty tree; GIANT_PAGES: with pages of 1 GiB. */
void tree_begin(unsigned kind, bool giant_pages);

/* The tree goes, and all of its pages with it. */
void tree_end(void);

void tree_map(uint64_t at, uint64_t to, uint64_t size, unsigned rights);
void tree_unmap(uint64_t at, uint64_t size);

/* AT leads to TO, in a page of that size with RIGHTS as far as the format keeps them. */
void tree_expect(uint64_t at, uint64_t to, uint64_t page, unsigned rights);
void tree_expect_nothing(uint64_t at);

/* RIGHTS as a page of KIND has them: it lacks the bits for some. */
unsigned tree_as_kept(unsigned kind, unsigned rights);

/* Prune all, a few tables at a time; returns how many went. */
unsigned tree_prune(uint64_t at, uint64_t size, bool merge);

#endif
