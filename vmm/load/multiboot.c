/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/formats.h"

#include "vmm/base/log.h"
#include "vmm/load/bytes.h"

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

/* Place module INDEX page-aligned from *FROM on; *FROM moves to its end. */
static enum status module_add(struct plan_builder *builder, unsigned index, uint64_t *from)
{
    const struct load_file *module = &builder->input->modules[index];
    uint64_t limit = builder->input->memory_below_4g;
    uint64_t at = align_up(*from, PAGE_SIZE);

    if (!plan_space_find(builder->plan, module->size, at, limit, &at)) {
        log_warn("load: %s: this module's %llu bytes do not fit between %#llx and %#llx, the end "
                 "of RAM: raise 'memory'",
                 module->name, (unsigned long long)module->size, (unsigned long long)at,
                 (unsigned long long)limit);
        return STATUS_NOTE(STATUS_RANGE);
    }
    *from = at + module->size;
    return plan_piece_add(builder, &(struct load_piece){.to = gpa(at),
                                                        .from = module->data,
                                                        .size = module->size,
                                                        .file = module->name,
                                                        .what = "module"});
}

/* Load the modules behind the image and list them, as 3.3 says. */
static enum status modules_add(struct plan_builder *builder, uint64_t image_end,
                               uint64_t starts[LOAD_MODULES_MAX])
{
    uint64_t from = image_end > MAP_HIGH_BASE ? image_end : MAP_HIGH_BASE;
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < builder->input->module_count && status == STATUS_OK; i++) {
        status = module_add(builder, i, &from);
        starts[i] = from - builder->input->modules[i].size;
    }
    return status;
}

static enum status module_list_add(struct plan_builder *builder,
                                   const uint64_t starts[LOAD_MODULES_MAX], uint32_t *offset)
{
    const struct load_input *input = builder->input;
    enum status status = plan_low_take(builder, LOAD_MODULES_MAX * MODULE_SIZE, 8, offset);

    for (unsigned i = 0; i < input->module_count && status == STATUS_OK; i++) {
        const char *text = input->modules[i].arguments != NULL ? input->modules[i].arguments : "";
        uint8_t *entry = builder->plan->low + *offset + (size_t)MODULE_SIZE * i;
        uint32_t address = 0;
        status = plan_text_add(builder, text, strlen(text), &address);
        bytes_put32(entry + MODULE_START, (uint32_t)starts[i]);
        bytes_put32(entry + MODULE_END, (uint32_t)(starts[i] + input->modules[i].size));
        bytes_put32(entry + MODULE_TEXT, address);
    }
    return status;
}

static enum status memory_map_add(struct plan_builder *builder, uint32_t *offset)
{
    const struct map *map = &builder->map;
    enum status status = plan_low_take(builder, map->count * MAP_ENTRY_SIZE, 8, offset);

    for (unsigned i = 0; i < map->count && status == STATUS_OK; i++) {
        uint8_t *entry = builder->plan->low + *offset + (size_t)MAP_ENTRY_SIZE * i;
        bytes_put32(entry, MAP_ENTRY_SIZE - 4);
        bytes_put64(entry + 4, map->range[i].base);
        bytes_put64(entry + 12, map->range[i].size);
        bytes_put32(entry + 20, map->range[i].type);
    }
    return status;
}

static enum status info_fill(struct plan_builder *builder, const uint64_t starts[LOAD_MODULES_MAX],
                             uint8_t *info)
{
    static const char loader_name[] = "Portolan";
    const struct load_input *input = builder->input;
    const char *text = input->cmdline != NULL ? input->cmdline : "";
    uint32_t modules = 0;
    uint32_t map = 0;
    uint32_t cmdline = 0;
    uint32_t name = 0;
    enum status status = module_list_add(builder, starts, &modules);

    if (status == STATUS_OK) {
        status = memory_map_add(builder, &map);
    }
    if (status == STATUS_OK) {
        status = plan_text_add(builder, text, strlen(text), &cmdline);
    }
    if (status == STATUS_OK) {
        status = plan_text_add(builder, loader_name, sizeof(loader_name) - 1, &name);
    }
    bytes_put32(info + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODULES |
                                       INFO_HAS_MAP | INFO_HAS_LOADER);
    bytes_put32(info + INFO_MEMORY_LOWER, MAP_LOW_END >> 10);
    bytes_put32(info + INFO_MEMORY_UPPER,
                (uint32_t)((input->memory_below_4g - MAP_HIGH_BASE) >> 10));
    bytes_put32(info + INFO_CMDLINE, cmdline);
    bytes_put32(info + INFO_MODULE_COUNT, input->module_count);
    bytes_put32(info + INFO_MODULES, (uint32_t)builder->low_base + modules);
    bytes_put32(info + INFO_MAP_LENGTH, builder->map.count * MAP_ENTRY_SIZE);
    bytes_put32(info + INFO_MAP, (uint32_t)builder->low_base + map);
    bytes_put32(info + INFO_LOADER_NAME, name);
    return status;
}

/* In conventional memory, or in the lowest gap above 1 MiB for images that fill the former. */
static enum status low_place(struct plan_builder *builder)
{
    const struct load_plan *plan = builder->plan;
    uint64_t limit = builder->input->memory_below_4g;

    if (!plan_space_find(plan, LOAD_LOW_SIZE, PLAN_LOW_BASE, MAP_LOW_END, &builder->low_base) &&
        !plan_space_find(plan, LOAD_LOW_SIZE, MAP_HIGH_BASE, limit, &builder->low_base)) {
        log_warn("load: %s: image and modules leave no %u KiB for the boot information: raise "
                 "'memory'",
                 builder->input->image.name, LOAD_LOW_SIZE >> 10);
        return STATUS_NOTE(STATUS_RANGE);
    }
    return STATUS_OK;
}

static enum status info_add(struct plan_builder *builder, const uint64_t starts[LOAD_MODULES_MAX])
{
    struct load_entry *entry = &builder->plan->entry;
    uint32_t offset;
    enum status status = low_place(builder);

    if (status == STATUS_OK) {
        status = plan_low_take(builder, INFO_SIZE, 8, &offset);
    }
    if (status != STATUS_OK) {
        return status;
    }
    entry->rax = ENTRY_MAGIC;
    entry->rbx = builder->low_base + offset;
    status = plan_gdt_add(builder, LOAD_ENTRY_PROTECTED32);
    if (status == STATUS_OK) {
        status = info_fill(builder, starts, builder->plan->low + offset);
    }
    return status == STATUS_OK ? plan_low_add(builder) : status;
}

enum status multiboot_plan(struct plan_builder *builder)
{
    struct multiboot_header header;
    uint64_t starts[LOAD_MODULES_MAX] = {0};
    uint64_t end = 0;
    enum status status = header_find(&builder->input->image, &header);

    if (status == STATUS_OK) {
        status = multiboot_image_add(builder, &header, &end);
    }
    if (status == STATUS_OK) {
        status = modules_add(builder, end, starts);
    }
    if (status == STATUS_OK) {
        status = info_add(builder, starts);
    }
    if (status == STATUS_OK) {
        log_info("load: %s: Multiboot, entry %#llx, %u modules, information at %#llx",
                 builder->input->image.name, (unsigned long long)builder->plan->entry.rip,
                 builder->input->module_count, (unsigned long long)builder->plan->entry.rbx);
    }
    return status;
}
