/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/load/images.h"

#include "tests/unit/fakes/log.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A line is cut at 255 bytes; this leaves room for longer names than the tests use. */
#define LINE_MAX_HERE 215U

#define MULTIBOOT_MAGIC 0x1badb002U

void bzimage_make(uint8_t *file)
{
    memset(file, 0, BZIMAGE_CODE);
    memset(file + BZIMAGE_CODE, 0xcc, BZIMAGE_SIZE - BZIMAGE_CODE);
    file[0x1f1] = 2;
    bytes_put32(file + 0x1f4, (BZIMAGE_SIZE - BZIMAGE_CODE) / 16);
    bytes_put16(file + 0x1fe, 0xaa55);
    bytes_put16(file + 0x200, 0x6aeb);
    bytes_put32(file + 0x202, 0x53726448);
    bytes_put16(file + 0x206, 0x20f);
    bytes_put16(file + 0x20e, 0x200);
    memcpy(file + 0x400, "6.1.0-test (a@b) #1", 20);
    file[0x211] = 0x41; /* LOADED_HIGH, and KEEP_SEGMENTS to be cleared */
    bytes_put32(file + 0x214, 0x100000);
    bytes_put32(file + 0x22c, 0x7fffffff);
    bytes_put32(file + 0x230, 0x200000);
    file[0x234] = 1;
    bytes_put16(file + 0x236, 0x7f);
    bytes_put32(file + 0x238, 2047);
    bytes_put64(file + 0x250, 0xdead); /* a loader clears it */
    bytes_put64(file + 0x258, BZIMAGE_BASE);
    bytes_put32(file + 0x260, BZIMAGE_ROOM);
}

void multiboot_set_flags(uint32_t *header, uint32_t flags)
{
    header[0] = MULTIBOOT_MAGIC;
    header[1] = flags;
    header[2] = 0U - MULTIBOOT_MAGIC - flags;
}

void multiboot32_make(struct multiboot32 *file)
{
    *file = (struct multiboot32){
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_386,
                   .e_entry = MULTIBOOT_ENTRY,
                   .e_phoff = offsetof(struct multiboot32, code),
                   .e_phentsize = sizeof(Elf32_Phdr),
                   .e_phnum = 2},
        .code = {.p_type = PT_LOAD,
                   .p_offset = offsetof(struct multiboot32, multiboot),
                   .p_vaddr = MULTIBOOT_BASE,
                   .p_paddr = MULTIBOOT_BASE,
                   .p_filesz = 0x100,
                   .p_memsz = 0x100                },
        .data = {.p_type = PT_LOAD,
                   .p_offset = offsetof(struct multiboot32, values),
                   .p_vaddr = MULTIBOOT_BASE + 0x1000,
                   .p_paddr = MULTIBOOT_BASE + 0x1000,
                   .p_filesz = 0x80,
                   .p_memsz = 0x2345                 },
    };
    multiboot_set_flags(file->multiboot, 3);
}

void multiboot64_make(struct multiboot64 *file)
{
    *file = (struct multiboot64){
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_entry = MULTIBOOT_ENTRY,
                   .e_phoff = offsetof(struct multiboot64, code),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .code = {.p_type = PT_LOAD,
                   .p_offset = offsetof(struct multiboot64, multiboot),
                   .p_vaddr = MULTIBOOT_BASE,
                   .p_paddr = MULTIBOOT_BASE,
                   .p_filesz = 0x100,
                   .p_memsz = 0x100                },
        .data = {.p_type = PT_LOAD,
                   .p_offset = offsetof(struct multiboot64, values),
                   .p_vaddr = MULTIBOOT_BASE + 0x1000,
                   .p_paddr = MULTIBOOT_BASE + 0x1000,
                   .p_filesz = 0x80,
                   .p_memsz = 0x2345                 },
    };
    multiboot_set_flags(file->multiboot, 3);
}

void multiboot_flat_make(struct multiboot_flat *file)
{
    memset(file, 0x5a, sizeof(*file));
    multiboot_set_flags(file->multiboot, 0x10003);
    file->multiboot[3] = MULTIBOOT_BASE + 0x20; /* header_addr */
    file->multiboot[4] = MULTIBOOT_BASE;
    file->multiboot[5] = MULTIBOOT_BASE + 0x80; /* load_end_addr */
    file->multiboot[6] = MULTIBOOT_END;
    file->multiboot[7] = MULTIBOOT_BASE + 0x40;
}

struct load_input input_make(enum load_kind kind, const void *file, uint64_t size, const char *name)
{
    return (struct load_input){
        .kind = kind,
        .image = {.data = file, .size = size, .name = name},
        .memory_below_4g = 128 * MIB,
        .acpi_rsdp = gpa(0xe0000),
    };
}

const uint8_t *plan_at(const struct load_plan *plan, uint64_t address)
{
    for (unsigned i = 0; i < plan->piece_count; i++) {
        const struct load_piece *piece = &plan->piece[i];
        if (address >= piece->to.raw && address - piece->to.raw < piece->size) {
            return piece->from + (address - piece->to.raw);
        }
    }
    fail_msg("nothing was copied to %#lx", address);
    return NULL;
}

void refusal_expect(const struct load_input *input, struct load_plan *plan, enum status status,
                    const char *words)
{
    fake_log_clear();
    assert_int_equal(load_plan_build(input, plan), status);
    if (!fake_log_contains(words)) {
        fail_msg("no '%s' in: %s", words, fake_log_text());
    }
    for (const char *line = fake_log_text(); *line != '\0'; line = strchr(line, '\n') + 1) {
        if ((size_t)(strchr(line, '\n') - line) > LINE_MAX_HERE) {
            fail_msg("too long for names of a usual length: %s", line);
        }
    }
}
