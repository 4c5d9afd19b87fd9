/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMM's own memory: whole pages that are mapped in the direct view. It grows by 2 MiB frames as
 * it is used up.
 */
#ifndef PORTOLAN_VMM_HOST_POOL_H
#define PORTOLAN_VMM_HOST_POOL_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/*
 * Take the first BYTES (a multiple of 2 MiB) below 4 GiB from the frame allocator. Until
 * pool_relocate() its pages are reached where the boot loader maps them, one to one. Boot CPU.
 */
enum status pool_init(uint64_t bytes);

/* From here on pages are reached in the direct view, which must be mapped. Pointers from before are
 * void. */
void pool_relocate(void);

/* The physical address of what pool_init() took. */
hpa_t pool_first(void);

/*
 * SIZE bytes (rounded up to pages), physically contiguous, aligned to ALIGN >= PAGE_SIZE, all zero.
 * NULL when no memory is left (the log says so). Any CPU; takes the lock.
 */
void *pool_allocate(uint64_t size, uint64_t align);

/* One zeroed page for a page table, without growing the pool; NULL: none is left. For paging.c
 * alone. */
void *pool_allocate_table(void);

/* Give back what pool_allocate(SIZE) returned. A wrong or doubly freed address is the VMM's own
 * fault: panic. */
void pool_free(void *memory, uint64_t size);

/* The physical address of memory in the pool, and the way back. */
hpa_t pool_hpa(const void *memory);
void *pool_pointer(hpa_t address);

/* Bytes taken from the frame allocator, and of these handed out. */
uint64_t pool_size(void);
uint64_t pool_used(void);

#endif
