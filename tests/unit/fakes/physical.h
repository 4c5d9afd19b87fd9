/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/host/map_physical.h on the host: physical memory made of buffers of the test.
 *
 * A read-only window is a copy of exactly the size asked for, so that the sanitizers see every read
 * beyond it; other kinds give the buffer itself.
 */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_PHYSICAL_H
#define PORTOLAN_TESTS_UNIT_FAKES_PHYSICAL_H

#include "vmm/base/types.h"

/* Forget all memory; asserts that every window was released. */
void fake_physical_reset(void);

/* Put SIZE bytes at HOST at physical BASE. Later ranges hide nothing of earlier ones. */
void fake_physical_add(uint64_t base, void *host, uint64_t size);

/* How many windows are open. */
unsigned fake_physical_windows(void);

/* Let the next N maps succeed and all after them fail; negative: no limit. */
void fake_physical_limit(int maps);

#endif
