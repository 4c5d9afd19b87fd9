/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages are as they were when they were sent last: where nobody can say which pages a device
 * writes, all of RAM is reported again and again.
 *
 * A page's sum is UMAC-128 (RFC 4418) by a random key that is made for each move and stays here. A
 * page that is taken for unchanged must be unchanged: for pages that do not depend on the key, two
 * that differ have the same sum with a chance of some 2^-120, whatever a guest writes.
 */
#ifndef PORTOLAN_GUEST_AGENT_PAGE_SUM_H
#define PORTOLAN_GUEST_AGENT_PAGE_SUM_H

#include "vmm/base/types.h"

#define PAGE_SUM 16U

struct page_sums {
    uint8_t (*sum)[PAGE_SUM]; /* of each page; memory comes when it is written first */
    void *mac;                /* gnutls_hmac_hd_t */
};

/* For pages 0 to PAGES - 1, none of which has a sum. False: no memory, or no such code. */
bool page_sums_begin(struct page_sums *s, uint64_t pages);
void page_sums_end(struct page_sums *s);

/* Is BYTES, what PAGE has now, other than at the last call? Of the first one the answer means
 * nothing. */
bool page_sums_update(struct page_sums *s, uint64_t page, const uint8_t *bytes);

#endif
