/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"

#include <string.h>

/* The BIOS data area. Its bytes are the last of plan->low and have a piece of their own. */
enum {
    BIOS_DATA_BASE = 0x400,
    BIOS_DATA_SIZE = 0x100,
    BIOS_DATA_OFFSET = LOAD_LOW_SIZE - BIOS_DATA_SIZE,
    BIOS_DATA_COM1 = 0x00,
    BIOS_DATA_EBDA = 0x0e, /* segment */
    BIOS_DATA_EQUIPMENT = 0x10,
    BIOS_DATA_MEMORY = 0x13 /* KiB */
};

#define EQUIPMENT_FPU      (1U << 1)
#define EQUIPMENT_SERIAL_1 (1U << 9)
#define COM1_PORT          0x3f8U

/* Intel SDM volume 3, 3.4.5: present, ring 0, accessed, limit 4 GiB. */
#define GDT_CODE32  0x00cf9b000000ffffULL
#define GDT_CODE64  0x00af9b000000ffffULL
#define GDT_DATA    0x00cf93000000ffffULL
#define GDT_ENTRIES 4U

/* Intel SDM volume 3, 4.5.4. */
#define TABLE_ENTRIES  512ULL
#define TABLE_WRITABLE 3ULL /* present, writable */
#define TABLE_PAGE     0x83ULL
#define DIRECTORIES    4U /* of 1 GiB each */

static uint64_t piece_length(const struct load_piece *piece)
{
    return piece->size + piece->zero;
}

/* The piece that shares a byte with [at, at + size), or NULL. */
static const struct load_piece *piece_find(const struct load_plan *plan, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < plan->piece_count; i++) {
        const struct load_piece *piece = &plan->piece[i];
        if (ranges_overlap(at, size, piece->to.raw, piece_length(piece))) {
            return piece;
        }
    }
    return NULL;
}

void plan_fail(struct plan_builder *builder, enum status status)
{
    builder->status = builder->status == STATUS_OK ? status : builder->status;
}

void plan_piece_add(struct plan_builder *builder, const struct load_piece *piece)
{
    struct load_plan *plan = builder->plan;
    uint64_t size;

    if (builder->status != STATUS_OK) {
        return;
    }
    if (__builtin_add_overflow(piece->size, piece->zero, &size) ||
        (size != 0 &&
         (!map_has_ram(&builder->map, piece->to.raw, size) || piece->to.raw >= MAP_4G))) {
        log_warn("load: %s: the %s at %#lx, %#lx and %#lx zero bytes, is not in the VM's RAM "
                 "below 4 GiB (to 9fc00h, and from 100000h to %#lx): give it more memory, or link "
                 "it elsewhere",
                 piece->file, piece->what, piece->to.raw, piece->size, piece->zero,
                 builder->input->memory_below_4g);
        plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
        return;
    }
    if (size == 0) {
        return;
    }
    const struct load_piece *other = piece_find(plan, piece->to.raw, size);
    if (other != NULL) {
        log_warn("load: %s: the %s at %#lx, %#lx bytes, overlaps the %s at %#lx, %#lx bytes "
                 "(%s): link it elsewhere",
                 piece->file, piece->what, piece->to.raw, size, other->what, other->to.raw,
                 piece_length(other), other->file);
        plan_fail(builder, STATUS_NOTE(STATUS_CONFLICT));
        return;
    }
    if (plan->piece_count == LOAD_PIECES_MAX) {
        log_warn("load: %s: more than %u pieces: link it with fewer segments", piece->file,
                 LOAD_PIECES_MAX);
        plan_fail(builder, STATUS_NOTE(STATUS_NO_MEMORY));
        return;
    }
    plan->piece[plan->piece_count++] = *piece;
}

bool plan_space_find(const struct load_plan *plan, uint64_t size, uint64_t from, uint64_t limit,
                     uint64_t *at)
{
    uint64_t place = align_up(from, PAGE_SIZE);

    /* Each round but the last leaves one piece behind for good. */
    for (unsigned round = 0; round <= plan->piece_count; round++) {
        if (!range_fits(place, size, limit)) {
            return false;
        }
        const struct load_piece *piece = piece_find(plan, place, size);
        if (piece == NULL) {
            *at = place;
            return true;
        }
        place = align_up(piece->to.raw + piece_length(piece), PAGE_SIZE);
    }
    return false;
}

uint32_t plan_low_take(struct plan_builder *builder, uint32_t size, uint32_t align)
{
    uint64_t at = align_up(builder->plan->low_used, align);

    if (builder->status != STATUS_OK) {
        return 0;
    }
    if (!range_fits(at, size, BIOS_DATA_OFFSET)) {
        log_error("load: %s: %u bytes of generated data and no room for %u more",
                  builder->input->image.name, builder->plan->low_used, size);
        plan_fail(builder, STATUS_NOTE(STATUS_NO_MEMORY));
        return 0;
    }
    builder->plan->low_used = (uint32_t)at + size;
    return (uint32_t)at;
}

uint32_t plan_text_add(struct plan_builder *builder, const char *text)
{
    uint32_t size = (uint32_t)(text != NULL ? strlen(text) : 0) + 1; /* as load.h limits them */
    uint32_t offset = plan_low_take(builder, size, 1);

    if (builder->status == STATUS_OK && text != NULL) {
        memcpy(builder->plan->low + offset, text, size);
    }
    return (uint32_t)builder->low_base + offset;
}

void plan_bios_data_add(struct plan_builder *builder)
{
    uint8_t *data = builder->plan->low + BIOS_DATA_OFFSET;

    bytes_put16(data + BIOS_DATA_COM1, COM1_PORT);
    bytes_put16(data + BIOS_DATA_EBDA, MAP_LOW_END >> 4);
    bytes_put16(data + BIOS_DATA_EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_SERIAL_1);
    bytes_put16(data + BIOS_DATA_MEMORY, MAP_LOW_END >> 10);
    plan_piece_add(builder, &(struct load_piece){.to = gpa(BIOS_DATA_BASE),
                                                 .from = data,
                                                 .size = BIOS_DATA_SIZE,
                                                 .file = "firmware",
                                                 .what = "BIOS data area"});
}

void plan_gdt_add(struct plan_builder *builder, enum load_mode mode)
{
    struct load_entry *entry = &builder->plan->entry;
    uint32_t offset = plan_low_take(builder, GDT_ENTRIES * 8, 8);
    uint8_t *gdt = builder->plan->low + offset;
    bytes_put64(gdt + PLAN_SELECTOR_CODE, mode == LOAD_ENTRY_LONG64 ? GDT_CODE64 : GDT_CODE32);
    bytes_put64(gdt + PLAN_SELECTOR_DATA, GDT_DATA);
    entry->mode = mode;
    entry->gdt = gpa(builder->low_base + offset);
    entry->gdt_limit = GDT_ENTRIES * 8 - 1;
    entry->cs = PLAN_SELECTOR_CODE;
    entry->ds = PLAN_SELECTOR_DATA;
}

void plan_page_tables_add(struct plan_builder *builder)
{
    uint32_t offset =
        plan_low_take(builder, (2 + DIRECTORIES) * (uint32_t)PAGE_SIZE, (uint32_t)PAGE_SIZE);
    uint8_t *tables = builder->plan->low + offset;
    uint64_t base = builder->low_base + offset;
    bytes_put64(tables, (base + PAGE_SIZE) | TABLE_WRITABLE);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        bytes_put64(tables + PAGE_SIZE + 8UL * i, (base + (2 + i) * PAGE_SIZE) | TABLE_WRITABLE);
    }
    for (uint64_t i = 0; i < DIRECTORIES * TABLE_ENTRIES; i++) {
        bytes_put64(tables + 2 * PAGE_SIZE + 8 * i, i * PAGE_SIZE_2M | TABLE_PAGE);
    }
    builder->plan->entry.cr3 = gpa(base);
}

void plan_low_add(struct plan_builder *builder)
{
    plan_piece_add(builder, &(struct load_piece){.to = gpa(builder->low_base),
                                                 .from = builder->plan->low,
                                                 .size = builder->plan->low_used,
                                                 .file = builder->input->image.name,
                                                 .what = "boot information"});
}
