/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"

#include <string.h>

/* Multiboot Specification 0.6.96, 3.1: the header, and where it must lie. */
#define SEARCH_SIZE       8192U
#define HEADER_SIZE       12U
#define HEADER_SIZE_FULL  32U /* with the address fields */
#define HEADER_MAGIC      0x1badb002U
#define HEADER_PAGE_ALIGN (1U << 0)
#define HEADER_MEMORY     (1U << 1)
#define HEADER_REQUIRED   0xffffU /* flags that a loader must know */

#define ENTRY_MAGIC 0x2badb002U

/* 3.3: the information structure, of which so much is written. */
enum {
    INFO_FLAGS = 0,
    INFO_MEMORY_LOWER = 4, /* KiB */
    INFO_MEMORY_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODULE_COUNT = 20,
    INFO_MODULES = 24,
    INFO_MAP_LENGTH = 44,
    INFO_MAP = 48,
    INFO_LOADER_NAME = 64,
    INFO_SIZE = 120,
    MODULE_START = 0,
    MODULE_END = 4,
    MODULE_TEXT = 8,
    MODULE_SIZE = 16,
    MAP_ENTRY_SIZE = 24 /* with its size field, which does not count itself */
};

#define INFO_HAS_MEMORY  (1U << 0)
#define INFO_HAS_CMDLINE (1U << 2)
#define INFO_HAS_MODULES (1U << 3)
#define INFO_HAS_MAP     (1U << 6)
#define INFO_HAS_LOADER  (1U << 9)

static enum status flags_check(const struct load_file *image, const struct multiboot_header *header)
{
    uint32_t unknown = header->flags & HEADER_REQUIRED & ~(HEADER_PAGE_ALIGN | HEADER_MEMORY);

    if (unknown != 0) {
        log_warn("load: %s: its Multiboot header at %xh requires features %#x (4: a video mode), "
                 "which are not provided: build it with flags 0..3",
                 image->name, header->offset, unknown);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    return STATUS_OK;
}

static enum status header_find(const struct load_file *image, struct multiboot_header *header)
{
    uint64_t end = image->size < SEARCH_SIZE ? image->size : SEARCH_SIZE;
    bool magic_seen = false;

    for (uint32_t at = 0; range_fits(at, HEADER_SIZE, end); at += 4) {
        if (bytes_get32(image->data + at) != HEADER_MAGIC) {
            continue;
        }
        magic_seen = true;
        uint32_t flags = bytes_get32(image->data + at + 4);
        uint32_t checksum = bytes_get32(image->data + at + 8);
        if (HEADER_MAGIC + flags + checksum == 0 &&
            ((flags & MULTIBOOT_HEADER_ADDRESSES) == 0 || range_fits(at, HEADER_SIZE_FULL, end))) {
            *header = (struct multiboot_header){at, flags};
            return flags_check(image, header);
        }
    }
    if (magic_seen) {
        log_warn("load: %s: a Multiboot magic number, but no whole header with a right checksum in "
                 "its first 8192 bytes: correct the header",
                 image->name);
    } else if (!foreign_explain(image, LOAD_MULTIBOOT)) {
        log_warn("load: %s: no Multiboot header in its first 8192 bytes: give 'multiboot' a "
                 "Multiboot 1 image, or use 'kernel' for Linux",
                 image->name);
    }
    return STATUS_NOTE(STATUS_INVALID);
}

/* Load the modules behind the image, page-aligned. */
static void modules_add(struct plan_builder *builder, uint64_t image_end,
                        uint64_t starts[LOAD_MODULES_MAX])
{
    uint64_t from = image_end > MAP_HIGH_BASE ? image_end : MAP_HIGH_BASE;
    uint64_t limit = builder->input->memory_below_4g;

    for (unsigned i = 0; i < builder->input->module_count && builder->status == STATUS_OK; i++) {
        const struct load_file *module = &builder->input->modules[i];
        uint64_t at = align_up(from, PAGE_SIZE);

        if (!plan_space_find(builder->plan, module->size, at, limit, &at)) {
            log_warn("load: %s: this module's %lu bytes do not fit between %#lx and %#lx, the end "
                     "of RAM: raise 'memory'",
                     module->name, module->size, at, limit);
            plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
        }
        plan_piece_add(builder, &(struct load_piece){.to = gpa(at),
                                                     .from = module->data,
                                                     .size = module->size,
                                                     .file = module->name,
                                                     .what = "module"});
        starts[i] = at;
        from = at + module->size;
    }
}

/* List them, as 3.3 says. */
static uint32_t module_list_add(struct plan_builder *builder,
                                const uint64_t starts[LOAD_MODULES_MAX])
{
    const struct load_input *input = builder->input;
    uint32_t offset = plan_low_take(builder, LOAD_MODULES_MAX * MODULE_SIZE, 8);

    for (unsigned i = 0; i < input->module_count; i++) {
        uint8_t *entry = builder->plan->low + offset + (size_t)MODULE_SIZE * i;

        bytes_put32(entry + MODULE_START, (uint32_t)starts[i]);
        bytes_put32(entry + MODULE_END, (uint32_t)(starts[i] + input->modules[i].size));
        bytes_put32(entry + MODULE_TEXT, plan_text_add(builder, input->modules[i].arguments));
    }
    return (uint32_t)builder->low_base + offset;
}

static uint32_t memory_map_add(struct plan_builder *builder)
{
    const struct map *map = &builder->map;
    uint32_t offset = plan_low_take(builder, map->count * MAP_ENTRY_SIZE, 8);

    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = builder->plan->low + offset + (size_t)MAP_ENTRY_SIZE * i;

        bytes_put32(entry, MAP_ENTRY_SIZE - 4);
        bytes_put64(entry + 4, map->range[i].base);
        bytes_put64(entry + 12, map->range[i].size);
        bytes_put32(entry + 20, map->range[i].type);
    }
    return (uint32_t)builder->low_base + offset;
}

static void info_fill(struct plan_builder *builder, const uint64_t starts[LOAD_MODULES_MAX],
                      uint8_t *info)
{
    const struct load_input *input = builder->input;

    bytes_put32(info + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODULES |
                                       INFO_HAS_MAP | INFO_HAS_LOADER);
    bytes_put32(info + INFO_MEMORY_LOWER, MAP_LOW_END >> 10);
    bytes_put32(info + INFO_MEMORY_UPPER,
                (uint32_t)((input->memory_below_4g - MAP_HIGH_BASE) >> 10));
    bytes_put32(info + INFO_CMDLINE, plan_text_add(builder, input->cmdline));
    bytes_put32(info + INFO_MODULE_COUNT, input->module_count);
    bytes_put32(info + INFO_MODULES, module_list_add(builder, starts));
    bytes_put32(info + INFO_MAP_LENGTH, builder->map.count * MAP_ENTRY_SIZE);
    bytes_put32(info + INFO_MAP, memory_map_add(builder));
    bytes_put32(info + INFO_LOADER_NAME, plan_text_add(builder, "Portolan"));
}

/* In conventional memory, or in the lowest gap above 1 MiB for images that fill the former. */
static void low_place(struct plan_builder *builder)
{
    const struct load_plan *plan = builder->plan;
    uint64_t limit = builder->input->memory_below_4g;

    if (!plan_space_find(plan, LOAD_LOW_SIZE, PLAN_LOW_BASE, MAP_LOW_END, &builder->low_base) &&
        !plan_space_find(plan, LOAD_LOW_SIZE, MAP_HIGH_BASE, limit, &builder->low_base)) {
        log_warn("load: %s: image and modules leave no %u KiB for the boot information: raise "
                 "'memory'",
                 builder->input->image.name, LOAD_LOW_SIZE >> 10);
        plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
    }
}

void multiboot_plan(struct plan_builder *builder)
{
    struct load_entry *entry = &builder->plan->entry;
    struct multiboot_header header = {0};
    uint64_t starts[LOAD_MODULES_MAX] = {0};

    plan_fail(builder, header_find(&builder->input->image, &header));
    if (builder->status == STATUS_OK) {
        modules_add(builder, multiboot_image_add(builder, &header), starts);
    }
    if (builder->status != STATUS_OK) {
        return;
    }
    low_place(builder);
    uint32_t offset = plan_low_take(builder, INFO_SIZE, 8);

    entry->rax = ENTRY_MAGIC;
    entry->rbx = builder->low_base + offset;
    plan_gdt_add(builder, LOAD_ENTRY_PROTECTED32);
    info_fill(builder, starts, builder->plan->low + offset);
    plan_low_add(builder);
    if (builder->status == STATUS_OK) {
        log_info("load: %s: Multiboot, entry %#lx, %u modules, information at %#lx",
                 builder->input->image.name, entry->rip, builder->input->module_count, entry->rbx);
    }
}
