/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/plan.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"

#include <string.h>

/* The address fields of a Multiboot header, 3.1.3: offsets from the header. */
enum {
    FIELD_HEADER = 12,
    FIELD_LOAD = 16,
    FIELD_LOAD_END = 20,
    FIELD_BSS_END = 24,
    FIELD_ENTRY = 28
};

/* System V ABI, chapters 4 and 5: what is the same in both classes. */
enum {
    ELF_CLASS = 4,
    ELF_DATA = 5,
    ELF_TYPE = 16,
    ELF_MACHINE = 18,
    ELF_ENTRY = 24,
    ELF_SIZE_MAX = 64, /* of the header, of the larger class */
    PROGRAM_TYPE = 0
};

#define ELF_CLASS_32      1U
#define ELF_CLASS_64      2U
#define ELF_DATA_LITTLE   1U
#define ELF_TYPE_EXEC     2U
#define ELF_MACHINE_386   3U
#define ELF_MACHINE_AMD64 62U
#define ELF_PROGRAM_LOAD  1U
#define PROGRAMS_MAX      64U

/* Where a class has its fields. */
struct elf_class {
    uint8_t number_size; /* of an address or offset */
    uint8_t header_size;
    uint8_t program_offset; /* in the ELF header ... */
    uint8_t program_size;
    uint8_t program_count;
    uint8_t entry_size; /* what program_size must say */
    uint8_t offset;     /* in a program header ... */
    uint8_t virtual_address;
    uint8_t physical_address;
    uint8_t file_size;
    uint8_t memory_size;
};

static const struct elf_class elf_classes[] = {
    [ELF_CLASS_32] = {4, 52, 28, 42, 44, 32, 4, 8,  12, 16, 20},
    [ELF_CLASS_64] = {8, 64, 32, 54, 56, 56, 8, 16, 24, 32, 40},
};

struct segment {
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
};

static uint64_t number_get(const struct elf_class *class, const uint8_t *at)
{
    return class->number_size == 8 ? bytes_get64(at) : bytes_get32(at);
}

/* The class of an ELF file that can be a Multiboot image, or NULL. */
static const struct elf_class *elf_recognise(const struct load_file *image)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    const uint8_t *file = image->data;

    if (image->size < ELF_SIZE_MAX || memcmp(file, magic, sizeof(magic)) != 0) {
        log_warn("load: %s: its Multiboot header gives no addresses, and it is no ELF file: link "
                 "it as ELF, or set bit 16 of the flags and the address fields",
                 image->name);
        return NULL;
    }
    bool machine_good = bytes_get16(file + ELF_MACHINE) == ELF_MACHINE_386 ||
                        bytes_get16(file + ELF_MACHINE) == ELF_MACHINE_AMD64;
    if ((file[ELF_CLASS] != ELF_CLASS_32 && file[ELF_CLASS] != ELF_CLASS_64) ||
        file[ELF_DATA] != ELF_DATA_LITTLE || bytes_get16(file + ELF_TYPE) != ELF_TYPE_EXEC ||
        !machine_good) {
        log_warn("load: %s: not a static ELF executable for x86 (class %u, type %u, machine %u): "
                 "link it with -static and -no-pie",
                 image->name, file[ELF_CLASS], bytes_get16(file + ELF_TYPE),
                 bytes_get16(file + ELF_MACHINE));
        return NULL;
    }
    return &elf_classes[file[ELF_CLASS]];
}

static struct segment segment_read(const struct elf_class *class, const uint8_t *program)
{
    return (struct segment){
        .offset = number_get(class, program + class->offset),
        .virtual_address = number_get(class, program + class->virtual_address),
        .physical_address = number_get(class, program + class->physical_address),
        .file_size = number_get(class, program + class->file_size),
        .memory_size = number_get(class, program + class->memory_size),
    };
}

static void segment_add(struct plan_builder *builder, const struct segment *segment)
{
    const struct load_file *image = &builder->input->image;

    if (segment->file_size > segment->memory_size ||
        !range_fits(segment->offset, segment->file_size, image->size)) {
        log_warn("load: %s: the segment at %#lx has %#lx bytes of memory, and %#lx at %#lx of "
                 "a file of %#lx: the file is cut off or damaged, copy it again",
                 image->name, segment->physical_address, segment->memory_size, segment->file_size,
                 segment->offset, image->size);
        plan_fail(builder, STATUS_NOTE(STATUS_INVALID));
        return;
    }
    plan_piece_add(builder, &(struct load_piece){.to = gpa(segment->physical_address),
                                                 .from = image->data + segment->offset,
                                                 .size = segment->file_size,
                                                 .zero = segment->memory_size - segment->file_size,
                                                 .file = image->name,
                                                 .what = "segment"});
}

/*
 * The entry is a virtual address where the linker made a difference; paging is off, so what counts
 * is where that byte was put. False when it is not in what the file holds of SEGMENT.
 */
static bool entry_translate(const struct segment *segment, uint64_t entry, uint64_t *physical)
{
    if (entry < segment->virtual_address ||
        entry - segment->virtual_address >= segment->file_size) {
        return false;
    }
    *physical = entry - segment->virtual_address + segment->physical_address;
    return true;
}

/* Is ADDRESS in the copied bytes of a segment? All pieces but the first, BIOS data, are segments.
 */
static bool entry_is_physical(const struct load_plan *plan, uint64_t address)
{
    for (unsigned i = 1; i < plan->piece_count; i++) {
        const struct load_piece *piece = &plan->piece[i];
        if (address >= piece->to.raw && address - piece->to.raw < piece->size) {
            return true;
        }
    }
    return false;
}

static void entry_set(struct plan_builder *builder, uint64_t entry)
{
    if (builder->status == STATUS_OK && !entry_is_physical(builder->plan, entry)) {
        log_warn("load: %s: its entry %#lx is not in what was loaded from the file: correct the "
                 "linker script's ENTRY() or the header's entry address",
                 builder->input->image.name, entry);
        plan_fail(builder, STATUS_NOTE(STATUS_RANGE));
    }
    builder->plan->entry.rip = entry;
}

static void programs_add(struct plan_builder *builder, const struct elf_class *class,
                         const uint8_t *programs, unsigned count)
{
    uint64_t entry = number_get(class, builder->input->image.data + ELF_ENTRY);
    uint64_t physical = entry;
    bool translated = false;

    for (unsigned i = 0; i < count && builder->status == STATUS_OK; i++) {
        const uint8_t *program = programs + (size_t) class->entry_size * i;
        if (bytes_get32(program + PROGRAM_TYPE) == ELF_PROGRAM_LOAD) {
            struct segment segment = segment_read(class, program);
            segment_add(builder, &segment);
            translated = translated || entry_translate(&segment, entry, &physical);
        }
    }
    entry_set(builder, physical);
}

static void elf_add(struct plan_builder *builder)
{
    const struct load_file *image = &builder->input->image;
    const struct elf_class *class = elf_recognise(image);

    if (class == NULL) {
        plan_fail(builder, STATUS_NOTE(STATUS_UNSUPPORTED));
        return;
    }
    uint64_t offset = number_get(class, image->data + class->program_offset);
    unsigned size = bytes_get16(image->data + class->program_size);
    unsigned count = bytes_get16(image->data + class->program_count);
    if (size != class->entry_size || count == 0 || count > PROGRAMS_MAX ||
        !range_fits(offset, (uint64_t)size * count, image->size)) {
        log_warn("load: %s: %u program headers of %u bytes at %#lx of a file of %#lx: it needs 1 "
                 "to %u, within the file",
                 image->name, count, size, offset, image->size, PROGRAMS_MAX);
        plan_fail(builder, STATUS_NOTE(STATUS_INVALID));
        return;
    }
    programs_add(builder, class, image->data + offset, count);
}

/* 3.1.3: the file from header_offset - (header_addr - load_addr) on is loaded at load_addr. */
static void fields_add(struct plan_builder *builder, uint32_t header_offset)
{
    const struct load_file *image = &builder->input->image;
    const uint8_t *header = image->data + header_offset;
    uint64_t header_address = bytes_get32(header + FIELD_HEADER);
    uint64_t load = bytes_get32(header + FIELD_LOAD);
    uint64_t load_end = bytes_get32(header + FIELD_LOAD_END);
    uint64_t bss_end = bytes_get32(header + FIELD_BSS_END);
    uint64_t offset = header_offset - (header_address - load);
    const char *bad = NULL;

    if (header_address < load || header_address - load > header_offset) {
        bad = "load_addr is behind header_addr, or before the file's start";
    } else {
        load_end = load_end != 0 ? load_end : load + (image->size - offset);
        bss_end = bss_end != 0 ? bss_end : load_end;
        if (load_end <= load || !range_fits(offset, load_end - load, image->size)) {
            bad = "load_end_addr is before load_addr, or behind the file's end";
        } else if (bss_end < load_end) {
            bad = "bss_end_addr is before load_end_addr";
        }
    }
    if (bad != NULL) {
        log_warn("load: %s: the address fields of its Multiboot header: %s: correct them",
                 image->name, bad);
        plan_fail(builder, STATUS_NOTE(STATUS_INVALID));
        return;
    }
    const struct segment segment = {offset, load, load, load_end - load, bss_end - load};

    segment_add(builder, &segment);
    entry_set(builder, bytes_get32(header + FIELD_ENTRY));
}

uint64_t multiboot_image_add(struct plan_builder *builder, const struct multiboot_header *header)
{
    const struct load_plan *plan = builder->plan;
    uint64_t end = 0;

    if ((header->flags & MULTIBOOT_HEADER_ADDRESSES) != 0) {
        fields_add(builder, header->offset);
    } else {
        elf_add(builder);
    }
    for (unsigned i = 0; i < plan->piece_count; i++) {
        uint64_t piece_end = plan->piece[i].to.raw + plan->piece[i].size + plan->piece[i].zero;
        end = piece_end > end ? piece_end : end;
    }
    return end;
}
