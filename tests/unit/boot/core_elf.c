/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/core_elf.h"

#include "boot/handoff.h"
#include "vmm/base/types.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A core of two segments: code of 0x900 bytes, and data of 0x200 bytes that grow to 0x3456. */
static struct {
    Elf64_Ehdr header;
    Elf64_Phdr code;
    Elf64_Phdr data;
    Elf64_Phdr stack;
    uint8_t bytes[0xb00];
} file;

static struct core_image image;

static int file_create(void **state)
{
    memset(&file, 0, sizeof(file));
    memcpy(file.header.e_ident, ELFMAG, SELFMAG);
    file.header.e_ident[EI_CLASS] = ELFCLASS64;
    file.header.e_ident[EI_DATA] = ELFDATA2LSB;
    file.header.e_type = ET_EXEC;
    file.header.e_machine = EM_X86_64;
    file.header.e_entry = HANDOFF_CORE_VA + 0x10;
    file.header.e_phoff = sizeof(Elf64_Ehdr);
    file.header.e_phentsize = sizeof(Elf64_Phdr);
    file.header.e_phnum = 3;
    file.code = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_flags = PF_R | PF_X,
                             .p_vaddr = HANDOFF_CORE_VA,
                             .p_filesz = 0x900,
                             .p_memsz = 0x900};
    file.code.p_offset = sizeof(file) - sizeof(file.bytes);
    file.data = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_flags = PF_R | PF_W,
                             .p_vaddr = HANDOFF_CORE_VA + 0x1100,
                             .p_filesz = 0x200,
                             .p_memsz = 0x3456};
    file.data.p_offset = file.code.p_offset + 0x900;
    file.stack = (Elf64_Phdr){.p_type = PT_GNU_STACK};
    memset(file.bytes, 0xc0, 0x900);
    memset(file.bytes + 0x900, 0xda, 0x200);
    return 0;
}

static enum status check(void)
{
    return core_elf_check(&file, sizeof(file), &image);
}

static void test_good_file(void **state)
{
    assert_int_equal(check(), STATUS_OK);
    assert_int_equal(image.entry, HANDOFF_CORE_VA + 0x10);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.size, 0x5000);
}

static void test_load(void **state)
{
    static uint8_t memory[0x5000];

    memset(memory, 0x55, sizeof(memory));
    assert_int_equal(check(), STATUS_OK);
    core_elf_load(&file, &image, memory);
    for (size_t i = 0; i < sizeof(memory); i++) {
        int wanted = i < 0x900 ? 0xc0 : i >= 0x1100 && i < 0x1300 ? 0xda : 0;
        assert_int_equal(memory[i], wanted);
    }
}

static void test_every_shorter_file_fails(void **state)
{
    uint8_t copy[sizeof(file)];

    for (size_t size = 0; size < sizeof(file); size++) {
        memcpy(copy, &file, size);
        memset(copy + size, 0xff, sizeof(copy) - size);
        assert_int_not_equal(core_elf_check(copy, size, &image), STATUS_OK);
    }
}

static void test_not_elf(void **state)
{
    file.header.e_ident[1] = 'e';
    assert_int_equal(check(), STATUS_INVALID);
}

static void test_other_machines(void **state)
{
    file.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
    file_create(state);
    file.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
    file_create(state);
    file.header.e_type = ET_DYN;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
    file_create(state);
    file.header.e_machine = EM_AARCH64;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
}

static void test_program_headers(void **state)
{
    file.header.e_phentsize = 32;
    assert_int_equal(check(), STATUS_INVALID);
    file_create(state);
    file.header.e_phnum = 0;
    assert_int_equal(check(), STATUS_INVALID);
    file_create(state);
    file.header.e_phnum = 33;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
    file_create(state);
    file.header.e_phoff = sizeof(file) - 3 * sizeof(Elf64_Phdr) + 1;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.header.e_phoff = UINT64_MAX - 8;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.stack.p_type = PT_DYNAMIC;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
    file.stack.p_type = PT_INTERP;
    assert_int_equal(check(), STATUS_UNSUPPORTED);
}

static void test_segments_outside(void **state)
{
    file.data.p_offset = sizeof(file) - 0x1ff;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.data.p_offset = UINT64_MAX;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.code.p_vaddr = HANDOFF_CORE_VA - 1;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.data.p_vaddr = HANDOFF_CORE_VA + CORE_SIZE_MAX - 0x3455;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.data.p_memsz = UINT64_MAX;
    assert_int_equal(check(), STATUS_RANGE);
    file_create(state);
    file.data.p_filesz = file.data.p_memsz + 1;
    assert_int_equal(check(), STATUS_INVALID);
}

static void test_segments_that_clash(void **state)
{
    file.data.p_vaddr = HANDOFF_CORE_VA + 0x8ff;
    assert_int_equal(check(), STATUS_CONFLICT);
    file.data.p_vaddr = HANDOFF_CORE_VA + 0x900;
    assert_int_equal(check(), STATUS_OK);
    file.code.p_vaddr = HANDOFF_CORE_VA + 0x10000;
    assert_int_equal(check(), STATUS_CONFLICT);
}

static void test_entry(void **state)
{
    file.header.e_entry = HANDOFF_CORE_VA + 0x900;
    assert_int_equal(check(), STATUS_RANGE);
    file.header.e_entry = HANDOFF_CORE_VA + 0x1100;
    assert_int_equal(check(), STATUS_RANGE);
    file.header.e_entry = 0;
    assert_int_equal(check(), STATUS_RANGE);
    file.header.e_entry = HANDOFF_CORE_VA + 0x8ff;
    assert_int_equal(check(), STATUS_OK);
}

static void test_too_many_segments(void **state)
{
    static struct {
        Elf64_Ehdr header;
        Elf64_Phdr programs[CORE_SEGMENTS_MAX + 1];
    } many;

    many.header = file.header;
    many.header.e_phnum = CORE_SEGMENTS_MAX + 1;
    for (unsigned i = 0; i <= CORE_SEGMENTS_MAX; i++) {
        many.programs[i] = (Elf64_Phdr){.p_type = PT_LOAD,
                                        .p_flags = PF_X,
                                        .p_memsz = 0x100,
                                        .p_filesz = 0x100,
                                        .p_vaddr = HANDOFF_CORE_VA + 0x100 * i};
    }
    assert_int_equal(core_elf_check(&many, sizeof(many), &image), STATUS_UNSUPPORTED);
    many.header.e_phnum = CORE_SEGMENTS_MAX;
    assert_int_equal(core_elf_check(&many, sizeof(many), &image), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good_file, file_create),
        cmocka_unit_test_setup(test_load, file_create),
        cmocka_unit_test_setup(test_every_shorter_file_fails, file_create),
        cmocka_unit_test_setup(test_not_elf, file_create),
        cmocka_unit_test_setup(test_other_machines, file_create),
        cmocka_unit_test_setup(test_program_headers, file_create),
        cmocka_unit_test_setup(test_segments_outside, file_create),
        cmocka_unit_test_setup(test_segments_that_clash, file_create),
        cmocka_unit_test_setup(test_entry, file_create),
        cmocka_unit_test_setup(test_too_many_segments, file_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
