/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words in memory that hardware reads or writes beside us: entries of page tables, descriptors.
 * Tests on the host put simulated hardware here.
 */
#ifndef PORTOLAN_VMM_HOST_SHARED_H
#define PORTOLAN_VMM_HOST_SHARED_H

#include <stdint.h>

/* One access to an 8-byte aligned word; what was written before a store is seen before it. */
uint64_t shared_load(const uint64_t *word);
void shared_store(uint64_t *word, uint64_t value);

/* Clear BITS in one piece, as hardware may set them meanwhile. */
void shared_clear(uint64_t *word, uint64_t bits);

/* Bring [MEMORY, MEMORY + SIZE) from the caches to memory, for hardware that does not snoop. */
void shared_write_back(const void *memory, uint64_t size);

#endif
