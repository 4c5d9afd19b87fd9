/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/load/linux_header.h"

#include <string.h>

/* What of boot_params is written beside the setup header, which has the same offsets there. */
enum {
    PARAMS_ACPI_RSDP = 0x070,
    PARAMS_E820_COUNT = 0x1e8,
    PARAMS_E820 = 0x2d0,
    PARAMS_E820_ENTRY = 20,
    PARAMS_SIZE = 4096
};

#define VERSION_MIN       0x206U /* cmdline_size; Linux 2.6.22 */
#define VERSION_INIT_SIZE 0x20aU /* pref_address, init_size */
#define VERSION_XLOAD     0x20cU
#define KEEP_SEGMENTS     (1U << 6)
#define XLF_KERNEL_64     (1U << 0)
#define LOADER_UNDEFINED  0xffU
#define VID_MODE_NORMAL   0xffffU
#define HEAP_END          0xfe00U
#define ENTRY_64          0x200U /* of the 64-bit entry, from the load address */

/* How much room a kernel without init_size gets, in sizes of its compressed image. */
#define EXPANSION 4U

/* What the header says, checked. */
struct bzimage {
    const uint8_t *file;
    uint32_t version;
    uint32_t header_end;
    uint64_t offset; /* of the protected-mode part */
    uint64_t size;   /* of it */
    uint64_t base;   /* guest-physical: where it goes */
    uint64_t end;    /* ... and what it needs there until it knows its memory */
    bool long_mode;  /* it has the 64-bit entry */
};

static uint64_t mib_up(uint64_t bytes)
{
    return (bytes + (1U << 20) - 1) >> 20;
}

static enum status magic_check(const struct load_file *image)
{
    const uint8_t *file = image->data;

    if (image->size < (SETUP_SECTS_OLD + 1ULL) * SECTOR ||
        bytes_get16(file + HEADER_BOOT_FLAG) != BOOT_FLAG ||
        bytes_get32(file + HEADER_MAGIC) != MAGIC_HDRS) {
        if (!foreign_explain(image, LOAD_LINUX)) {
            log_warn("load: %s: not a Linux bzImage (no 'HdrS' at 202h): give 'kernel' a vmlinuz "
                     "or bzImage; for a Multiboot image use 'multiboot'",
                     image->name);
        }
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (foreign_explain_bios(image)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    uint32_t version = bytes_get16(file + HEADER_VERSION);
    if (version < VERSION_MIN) {
        log_warn("load: %s: boot protocol %u.%02u; 2.06 (Linux 2.6.22) is the oldest that needs no "
                 "BIOS: give 'firmware' and 'kernel_rom' as well",
                 image->name, version >> 8, version & 0xffU);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if ((file[HEADER_LOADFLAGS] & LOADED_HIGH) == 0) {
        log_warn(
            "load: %s: a zImage, which is loaded below 1 MiB and needs a BIOS: give 'firmware' "
            "and 'kernel_rom' as well",
            image->name);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    return STATUS_OK;
}

/* Where the header ends, and the protected-mode part begins. */
static enum status layout_read(const struct load_file *image, struct bzimage *kernel)
{
    const uint8_t *file = image->data;
    uint32_t sectors = file[HEADER_SETUP_SECTS];
    uint32_t end = HEADER_JUMP_END + file[HEADER_JUMP_LENGTH];
    uint32_t end_min = kernel->version >= VERSION_INIT_SIZE ? HEADER_END_210 : HEADER_END_206;

    if (end < end_min) {
        log_warn("load: %s: its setup header ends at %xh, protocol %u.%02u needs %xh: the file is "
                 "damaged, copy it again",
                 image->name, end, kernel->version >> 8, kernel->version & 0xffU, end_min);
        return STATUS_NOTE(STATUS_INVALID);
    }
    /* A later protocol may say more than boot_params has room for; nobody reads that there. */
    kernel->header_end = end < HEADER_END_MAX ? end : HEADER_END_MAX;
    kernel->offset = ((sectors != 0 ? sectors : SETUP_SECTS_OLD) + 1ULL) * SECTOR;
    uint64_t wanted = 16ULL * bytes_get32(file + HEADER_SYSSIZE);
    if (image->size <= kernel->offset + ENTRY_64 ||
        wanted > align_up(image->size - kernel->offset, 16)) {
        log_warn("load: %s: %lu bytes, its header announces %lu: the file is cut off, copy it "
                 "again",
                 image->name, image->size, (kernel->offset + wanted));
        return STATUS_NOTE(STATUS_INVALID);
    }
    kernel->size = image->size - kernel->offset;
    return STATUS_OK;
}

/* Where it wants to be. A relocatable kernel below its pref_address would move itself there. */
static enum status base_choose(const struct load_file *image, struct bzimage *kernel)
{
    const uint8_t *file = image->data;
    uint64_t base = bytes_get32(file + HEADER_CODE32_START);
    uint64_t alignment = bytes_get32(file + HEADER_ALIGNMENT);

    if (kernel->version >= VERSION_INIT_SIZE && bytes_get64(file + HEADER_PREF_ADDRESS) != 0) {
        base = bytes_get64(file + HEADER_PREF_ADDRESS);
    }
    if (base < MAP_HIGH_BASE || base >= MAP_4G) {
        log_warn("load: %s: it wants to be loaded at %#lx; kernels lie between 1 MiB and 4 GiB: "
                 "the file is damaged, copy it again",
                 image->name, base);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (file[HEADER_RELOCATABLE] != 0) {
        if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
            log_warn("load: %s: kernel_alignment is %#lx, no power of two: the file is damaged, "
                     "copy it again",
                     image->name, alignment);
            return STATUS_NOTE(STATUS_INVALID);
        }
        base = align_up(base, alignment);
    }
    kernel->base = base;
    return STATUS_OK;
}

static enum status kernel_place(const struct load_input *input, struct bzimage *kernel)
{
    const struct load_file *image = &input->image;
    enum status status = base_choose(image, kernel);
    uint64_t room;

    if (status != STATUS_OK) {
        return status;
    }
    if (kernel->version >= VERSION_INIT_SIZE) {
        room = bytes_get32(image->data + HEADER_INIT_SIZE);
    } else if (__builtin_mul_overflow(kernel->size, EXPANSION, &room)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (room < kernel->size) {
        room = kernel->size;
    }
    if (!range_fits(kernel->base, room, input->memory_below_4g)) {
        log_warn("load: %s: it starts at %#lx and needs %lu MiB there; the VM's RAM below 4 GiB "
                 "ends at %lu MiB: raise 'memory'",
                 image->name, kernel->base, mib_up(room), (input->memory_below_4g >> 20));
        return STATUS_NOTE(STATUS_RANGE);
    }
    kernel->end = kernel->base + room;
    return STATUS_OK;
}

/* As high as the kernel allows, below 4 GiB: where; 0 without an initrd. */
static uint64_t initrd_add(struct plan_builder *builder, const struct bzimage *kernel)
{
    const struct load_file *initrd = &builder->input->initrd;
    uint64_t top = bytes_get32(kernel->file + HEADER_INITRD_MAX) + 1ULL, at = 0;

    if (initrd->size == 0) {
        return 0;
    }
    if (top > builder->input->memory_below_4g) {
        top = builder->input->memory_below_4g;
    }
    if (initrd->size <= top) {
        at = align_down(top - initrd->size, PAGE_SIZE);
    }
    if (at < kernel->end) {
        log_warn("load: %s: %lu MiB do not fit between the end of the kernel %s, %#lx, and "
                 "%#lx, the end of RAM or of what that kernel reaches: raise 'memory' or make it "
                 "smaller",
                 initrd->name, mib_up(initrd->size), builder->input->image.name, kernel->end, top);
        plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
    }
    plan_piece_add(builder, &(struct load_piece){.to = gpa(at),
                                                 .from = initrd->data,
                                                 .size = initrd->size,
                                                 .file = initrd->name,
                                                 .what = "initrd"});
    return at;
}

static uint32_t cmdline_add(struct plan_builder *builder, const struct bzimage *kernel)
{
    const char *text = builder->input->cmdline;
    size_t length = text != NULL ? strlen(text) : 0;
    uint32_t limit = bytes_get32(kernel->file + HEADER_CMDLINE_SIZE);

    if (length > limit) {
        log_warn("load: %s: the command line has %zu characters, this kernel takes %u: shorten "
                 "'cmdline'",
                 builder->input->image.name, length, limit);
        plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
    }
    return plan_text_add(builder, text);
}

/* The setup header as the kernel brought it, and what is the boot loader's in it. */
static void header_write(uint8_t *params, const struct bzimage *kernel)
{
    memcpy(params + HEADER_START, kernel->file + HEADER_START, kernel->header_end - HEADER_START);
    bytes_put16(params + HEADER_VID_MODE, VID_MODE_NORMAL);
    params[HEADER_LOADER_TYPE] = LOADER_UNDEFINED;
    params[HEADER_LOADFLAGS] =
        (uint8_t)((params[HEADER_LOADFLAGS] & ~KEEP_SEGMENTS) | CAN_USE_HEAP);
    bytes_put16(params + HEADER_HEAP_END, HEAP_END);
    bytes_put16(params + HEADER_LOADER_VERSION, 0); /* and the extended loader type behind it */
    bytes_put32(params + HEADER_CODE32_START, (uint32_t)kernel->base);
    if (kernel->version >= VERSION_INIT_SIZE) {
        bytes_put64(params + HEADER_SETUP_DATA, 0);
    }
}

static void memory_map_write(uint8_t *params, const struct map *map)
{
    params[PARAMS_E820_COUNT] = (uint8_t)map->count;
    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = params + PARAMS_E820 + (size_t)PARAMS_E820_ENTRY * i;
        bytes_put64(entry, map->range[i].base);
        bytes_put64(entry + 8, map->range[i].size);
        bytes_put32(entry + 16, map->range[i].type);
    }
}

/* Generate page tables, boot_params, GDT and command line; what is aligned to pages comes first. */
static void params_add(struct plan_builder *builder, const struct bzimage *kernel, uint64_t initrd)
{
    if (kernel->long_mode) {
        plan_page_tables_add(builder);
    }
    uint32_t offset = plan_low_take(builder, PARAMS_SIZE, (uint32_t)PAGE_SIZE);
    uint8_t *params = builder->plan->low + offset;

    plan_gdt_add(builder, kernel->long_mode ? LOAD_ENTRY_LONG64 : LOAD_ENTRY_PROTECTED32);
    header_write(params, kernel);
    memory_map_write(params, &builder->map);
    bytes_put32(params + HEADER_INITRD, (uint32_t)initrd);
    bytes_put32(params + HEADER_INITRD_SIZE, (uint32_t)builder->input->initrd.size);
    bytes_put32(params + HEADER_CMDLINE, cmdline_add(builder, kernel));
    bytes_put64(params + PARAMS_ACPI_RSDP, builder->input->acpi_rsdp.raw);
    builder->plan->entry.rsi = builder->low_base + offset;
    plan_low_add(builder);
}

static enum status header_read(const struct load_input *input, struct bzimage *kernel)
{
    const struct load_file *image = &input->image;
    enum status status = magic_check(image);

    if (status != STATUS_OK) {
        return status;
    }
    kernel->file = image->data;
    kernel->version = bytes_get16(image->data + HEADER_VERSION);
    kernel->long_mode = kernel->version >= VERSION_XLOAD &&
                        (bytes_get16(image->data + HEADER_XLOADFLAGS) & XLF_KERNEL_64) != 0;
    status = layout_read(image, kernel);
    return status == STATUS_OK ? kernel_place(input, kernel) : status;
}

void bzimage_plan(struct plan_builder *builder)
{
    struct bzimage kernel = {0};
    struct load_entry *entry = &builder->plan->entry;
    enum status status = header_read(builder->input, &kernel);

    if (status != STATUS_OK) {
        plan_fail(builder, status);
        return;
    }
    plan_piece_add(builder, &(struct load_piece){.to = gpa(kernel.base),
                                                 .from = kernel.file + kernel.offset,
                                                 .size = kernel.size,
                                                 .file = builder->input->image.name,
                                                 .what = "kernel"});
    params_add(builder, &kernel, initrd_add(builder, &kernel));
    entry->rip = kernel.base + (kernel.long_mode ? ENTRY_64 : 0);
    entry->rsp = PLAN_LOW_BASE;
    if (builder->status == STATUS_OK) {
        log_info("load: %s: Linux, boot protocol %u.%02u, %s entry, at %#lx..%#lx",
                 builder->input->image.name, kernel.version >> 8, kernel.version & 0xffU,
                 kernel.long_mode ? "64-bit" : "32-bit", kernel.base, kernel.end);
    }
}
