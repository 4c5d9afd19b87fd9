/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/core_elf.h"

#include "boot/handoff.h"
#include "vmm/base/types.h"

#include <string.h>

/* System V ABI, chapters 4 and 5, and its AMD64 supplement. */
struct elf_header {
    uint8_t magic[4];
    uint8_t class;
    uint8_t data;
    uint8_t ident_version;
    uint8_t padding[9];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_offset;
    uint64_t section_offset;
    uint32_t flags;
    uint16_t size;
    uint16_t program_size;
    uint16_t program_count;
    uint16_t section_size;
    uint16_t section_count;
    uint16_t section_names;
};

struct elf_program {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t align;
};

_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");
_Static_assert(sizeof(struct elf_program) == 56, "Elf64_Phdr");

#define ELF_CLASS_64     2
#define ELF_DATA_LITTLE  1
#define ELF_TYPE_EXEC    2
#define ELF_MACHINE_X86  62
#define ELF_PROGRAM_LOAD 1U
#define ELF_PROGRAM_DYN  2U
#define ELF_PROGRAM_INT  3U
#define ELF_FLAG_EXEC    1U
#define PROGRAMS_MAX     32

static enum status header_check(const struct elf_header *header, size_t size)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};

    if (memcmp(header->magic, magic, sizeof(magic)) != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (header->class != ELF_CLASS_64 || header->data != ELF_DATA_LITTLE ||
        header->type != ELF_TYPE_EXEC || header->machine != ELF_MACHINE_X86) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (header->program_size != sizeof(struct elf_program) || header->program_count == 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (header->program_count > PROGRAMS_MAX) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (!range_fits(header->program_offset, header->program_count * sizeof(struct elf_program),
                    size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    return STATUS_OK;
}

/* Check one PT_LOAD and add it to IMAGE. */
static enum status segment_add(const struct elf_program *program, size_t file_size,
                               struct core_image *image)
{
    uint64_t offset = program->virtual_address - HANDOFF_CORE_VA;

    if (image->segment_count == CORE_SEGMENTS_MAX) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (program->file_size > program->memory_size) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (program->virtual_address < HANDOFF_CORE_VA ||
        !range_fits(offset, program->memory_size, CORE_SIZE_MAX) ||
        !range_fits(program->offset, program->file_size, file_size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (image->segment_count > 0) {
        const struct core_segment *last = &image->segments[image->segment_count - 1];
        if (offset < last->offset + last->size) {
            return STATUS_NOTE(STATUS_CONFLICT);
        }
    }
    image->segments[image->segment_count++] =
        (struct core_segment){program->offset, program->file_size, offset, program->memory_size};
    image->size = align_up(offset + program->memory_size, PAGE_SIZE);
    return STATUS_OK;
}

/* Is ENTRY in what the file holds of an executable segment? */
static bool segment_has_entry(const struct elf_program *program, uint64_t entry)
{
    return (program->flags & ELF_FLAG_EXEC) != 0 && entry >= program->virtual_address &&
           entry - program->virtual_address < program->file_size;
}

enum status core_elf_check(const void *file, size_t size, struct core_image *image)
{
    const uint8_t *bytes = file;
    struct elf_header header;
    bool entry_found = false;

    *image = (struct core_image){0};
    if (size < sizeof(header)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(&header, bytes, sizeof(header));
    enum status status = header_check(&header, size);
    for (unsigned i = 0; i < header.program_count && status == STATUS_OK; i++) {
        struct elf_program program;
        memcpy(&program, bytes + header.program_offset + i * sizeof(program), sizeof(program));
        if (program.type == ELF_PROGRAM_DYN || program.type == ELF_PROGRAM_INT) {
            return STATUS_NOTE(STATUS_UNSUPPORTED);
        }
        if (program.type == ELF_PROGRAM_LOAD && program.memory_size != 0) {
            status = segment_add(&program, size, image);
            entry_found = entry_found || segment_has_entry(&program, header.entry);
        }
    }
    if (status == STATUS_OK && !entry_found) {
        status = STATUS_NOTE(STATUS_RANGE);
    }
    image->entry = header.entry;
    return status;
}

void core_elf_load(const void *file, const struct core_image *image, void *memory)
{
    const uint8_t *bytes = file;
    uint8_t *target = memory;

    memset(target, 0, image->size);
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct core_segment *segment = &image->segments[i];
        memcpy(target + segment->offset, bytes + segment->file_offset, segment->file_size);
    }
}
