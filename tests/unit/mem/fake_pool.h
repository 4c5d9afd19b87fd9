/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of host memory for page tables, and a count of TLB flushes. */
#ifndef PORTOLAN_TESTS_UNIT_MEM_FAKE_POOL_H
#define PORTOLAN_TESTS_UNIT_MEM_FAKE_POOL_H

/* Forget all pages; at most PAGES are given out from here on. */
void fake_pool_reset(unsigned pages);

unsigned fake_flush_count(void);

#endif
