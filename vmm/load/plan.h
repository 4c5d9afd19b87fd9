/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What load_plan_build() is made of: the memory map, the parts of plans, the formats, and the check
 * of every plan. Private to vmm/load.
 */
#ifndef PORTOLAN_VMM_LOAD_PLAN_H
#define PORTOLAN_VMM_LOAD_PLAN_H

#include "vmm/load/load.h"

/*
 * ---- memory_ranges.c: the memory map that a VM's first program is given, in the types of ACPI
 * 6.5, 15.2 (E820), which Multiboot uses too ----
 */

#define MAP_RANGES_MAX 8U

#define MAP_RAM      1U
#define MAP_RESERVED 2U

#define MAP_LOW_END   0x9fc00ULL /* of conventional memory: 639 KiB, as PCs with an EBDA have */
#define MAP_HIGH_BASE 0x100000ULL
#define MAP_4G        (1ULL << 32)

struct map_range {
    uint64_t base;
    uint64_t size;
    uint32_t type;
};

struct map {
    unsigned count;
    struct map_range range[MAP_RANGES_MAX]; /* ascending, not overlapping */
};

/* Of RAM that load_plan_build() allows. */
void map_build(uint64_t memory_below_4g, uint64_t memory_above_4g, struct map *map);

/* Does [base, base + size) lie in one range of RAM? Safe for every input; SIZE 0 is nowhere. */
bool map_has_ram(const struct map *map, uint64_t base, uint64_t size);

/* ---- plan.c: the parts that plans are made of ---- */

#define PLAN_SELECTOR_CODE 0x10U /* __BOOT_CS and __BOOT_DS of Linux's boot protocol */
#define PLAN_SELECTOR_DATA 0x18U

/* Where the generated data goes unless the image lies there, and the stack below it. */
#define PLAN_LOW_BASE 0x10000U

/* A builder that has failed once adds nothing more: its users look at the end. */
struct plan_builder {
    const struct load_input *input;
    struct load_plan *plan;
    enum status status; /* the first failure */
    struct map map;
    uint64_t low_base; /* guest-physical, of plan->low */
};

/* It has failed, as STATUS says; logged by who says so. */
void plan_fail(struct plan_builder *builder, enum status status);

/*
 * Add PIECE, which comes from an untrusted image. An empty one is left out.
 * RANGE: it is not in RAM below 4 GiB; CONFLICT: it overlaps another; NO_MEMORY: too many. Logged.
 */
void plan_piece_add(struct plan_builder *builder, const struct load_piece *piece);

/*
 * The lowest page-aligned place of SIZE > 0 bytes in [from, limit) that no piece has; LIMIT is at
 * most 4 GiB. The caller knows that all of [from, limit) is RAM.
 */
bool plan_space_find(const struct load_plan *plan, uint64_t size, uint64_t from, uint64_t limit,
                     uint64_t *at);

/*
 * Take SIZE zeroed bytes of the generated data, at most LOAD_LOW_SIZE, aligned to ALIGN (a power of
 * two): where they are in plan->low. NO_MEMORY: LOAD_LOW_SIZE is too small for the limits of the
 * inputs; what is then written to where it points, as after any failure, is not used.
 */
uint32_t plan_low_take(struct plan_builder *builder, uint32_t size, uint32_t align);

/* Add TEXT (NULL: an empty one) with its NUL: where the guest finds it. */
uint32_t plan_text_add(struct plan_builder *builder, const char *text);

/* The BIOS data area: the pieces of it that kernels look at. Before any other piece. */
void plan_bios_data_add(struct plan_builder *builder);

/* The GDT, and all of entry that follows from it and from MODE. */
void plan_gdt_add(struct plan_builder *builder, enum load_mode mode);

/* Page tables that map the first 4 GiB one to one, and entry.cr3. First of the generated data. */
void plan_page_tables_add(struct plan_builder *builder);

/* Add what was generated, as one piece at builder->low_base; after it there is no more of it. */
void plan_low_add(struct plan_builder *builder);

/*
 * ---- bzimage.c, multiboot.c, multiboot_image.c, foreign.c: the formats that load_plan_build()
 * chooses from. It has checked the input's RAM and limits, and the builder's plan is empty ----
 */

/* A bzImage: Documentation/arch/x86/boot.rst of Linux, protocol 2.06 and later. */
void bzimage_plan(struct plan_builder *builder);

/* Multiboot Specification 0.6.96. */
void multiboot_plan(struct plan_builder *builder);

/*
 * IMAGE is not what KIND says. Log what it is and what would take it; false if that is not known.
 */
bool foreign_explain(const struct load_file *image, enum load_kind kind);

/*
 * Is IMAGE, whose first 264h bytes are there and have Linux's magic numbers, a program for a BIOS
 * in the form of a bzImage? Then it is logged what it is.
 */
bool foreign_explain_bios(const struct load_file *image);

/* A Multiboot header, where it was found. */
struct multiboot_header {
    uint32_t offset; /* in the file */
    uint32_t flags;
};

/*
 * Add the image's segments and find its entry, from its ELF program headers or, if the header
 * says so, from its address fields. Returns where its highest segment ends.
 */
uint64_t multiboot_image_add(struct plan_builder *builder, const struct multiboot_header *header);

#define MULTIBOOT_HEADER_ADDRESSES (1U << 16)

/* ---- load_check.c: what every plan must fulfil, whoever made it and of whatever ---- */

/*
 * The pieces of PLAN lie in the RAM of INPUT (checked before), come from the files of INPUT or from
 * plan->low, and overlap nowhere; the first instruction, the GDT and the page tables are in bytes
 * that are copied. A plan that fails is the VMM's own fault and is logged as such.
 *   STATUS_RANGE     outside of RAM, of a file or of the copied bytes
 *   STATUS_CONFLICT  two pieces overlap
 */
enum status load_plan_check(const struct load_input *input, const struct load_plan *plan);

#endif
