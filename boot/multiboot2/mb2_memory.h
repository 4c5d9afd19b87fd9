/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map while the loader takes parts of it. Pure: compiled for tests too. A boot loader
 * does not say what of the free memory it has used: each part that is to last is claimed here.
 */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_MB2_MEMORY_H
#define PORTOLAN_BOOT_MULTIBOOT2_MB2_MEMORY_H

#include "boot/multiboot2/information.h"
#include "boot/regions.h"

/* As many as the core reads; and the parts: image, modules, core, page tables. */
#define MEMORY_FIRMWARE_MAX 1024U
#define MEMORY_RANGES_MAX   (MEMORY_FIRMWARE_MAX + INFORMATION_MODULES_MAX + 8U)

/* Where the loader takes memory: what is below is left to the start of other CPUs, and what is
 * above has no address before the core's page tables are in use. */
#define MEMORY_TAKE_MIN (1ULL << 20)
#define MEMORY_TAKE_MAX (1ULL << 32)

struct memory {
    struct handoff_region ranges[MEMORY_RANGES_MAX];
    size_t range_count;
    struct region_edge edges[2 * MEMORY_RANGES_MAX];
    struct handoff_region regions[2 * MEMORY_RANGES_MAX]; /* the result, for the hand-off */
    size_t region_count;
};

/* Begin with the boot loader's map. Errors: those of information_read_memory(). */
enum status memory_init(struct memory *memory, const struct information *information);

/*
 * Make the pages that hold [BASE, BASE + SIZE) HANDOFF_MEMORY_LOADER.
 *   STATUS_CONFLICT   not all of them are free
 *   STATUS_NO_MEMORY  too many claims
 */
enum status memory_claim(struct memory *memory, uint64_t base, uint64_t size);

/* Find and claim SIZE > 0 bytes of free memory in one piece, page-aligned, at *BASE. The contents
 * are what was there. STATUS_NO_MEMORY: there is no such piece. */
enum status memory_take(struct memory *memory, uint64_t size, uint64_t *base);

#endif
