/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts that plans are made of, for the loaders of the formats. */
#ifndef PORTOLAN_VMM_LOAD_PLAN_H
#define PORTOLAN_VMM_LOAD_PLAN_H

#include "vmm/load/load.h"
#include "vmm/load/memory_ranges.h"

#define PLAN_SELECTOR_CODE 0x10U /* __BOOT_CS and __BOOT_DS of Linux's boot protocol */
#define PLAN_SELECTOR_DATA 0x18U

/* Where the generated data goes unless the image lies there, and the stack below it. */
#define PLAN_LOW_BASE 0x10000U

struct plan_builder {
    const struct load_input *input;
    struct load_plan *plan;
    struct map map;
    uint64_t low_base; /* guest-physical, of plan->low */
};

/*
 * Add PIECE, which comes from an untrusted image. An empty one is left out.
 * RANGE: it is not in RAM below 4 GiB; CONFLICT: it overlaps another; NO_MEMORY: too many. Logged.
 */
enum status plan_piece_add(struct plan_builder *builder, const struct load_piece *piece);

/*
 * The lowest page-aligned place of SIZE > 0 bytes in [from, limit) that no piece has; LIMIT is at
 * most 4 GiB. The caller knows that all of [from, limit) is RAM.
 */
bool plan_space_find(const struct load_plan *plan, uint64_t size, uint64_t from, uint64_t limit,
                     uint64_t *at);

/*
 * Take SIZE zeroed bytes of the generated data, aligned to ALIGN (a power of two), and say where
 * in plan->low. NO_MEMORY: LOAD_LOW_SIZE is too small for the limits of the inputs.
 */
enum status plan_low_take(struct plan_builder *builder, uint32_t size, uint32_t align,
                          uint32_t *offset);

/* Add TEXT, LENGTH bytes without NUL in it, and a NUL; *ADDRESS is where the guest finds it. */
enum status plan_text_add(struct plan_builder *builder, const char *text, size_t length,
                          uint32_t *address);

/* The BIOS data area: the pieces of it that kernels look at. Before any other piece. */
enum status plan_bios_data_add(struct plan_builder *builder);

/* The GDT, and all of entry that follows from it and from MODE. */
enum status plan_gdt_add(struct plan_builder *builder, enum load_mode mode);

/* Page tables that map the first 4 GiB one to one, and entry.cr3. First of the generated data. */
enum status plan_page_tables_add(struct plan_builder *builder);

/* Add what was generated, as one piece at builder->low_base; after it there is no more of it. */
enum status plan_low_add(struct plan_builder *builder);

#endif
