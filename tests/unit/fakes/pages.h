/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/host/pool.h on the host: pages that are counted, and a limit. */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_PAGES_H
#define PORTOLAN_TESTS_UNIT_FAKES_PAGES_H

/* Forget all pages; at most LIMIT are given out at a time from here on. */
void fake_pages_reset(unsigned limit);

void fake_pages_limit(unsigned limit);

/* How many are out now. */
unsigned fake_pages_used(void);

#endif
