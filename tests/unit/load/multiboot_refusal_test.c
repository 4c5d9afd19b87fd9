/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1: every reason to refuse an image. */
#include "tests/unit/load/multiboot_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_no_header(void **state)
{
    mb.elf32.multiboot[0]++;
    mb_expect_refusal(STATUS_INVALID, "guest.elf: no Multiboot header in its first 8192 bytes");
    mb.elf32.multiboot[2]++;
    mb_expect_refusal(STATUS_INVALID,
                      "guest.elf: a Multiboot magic number, but no whole header with "
                      "a right checksum");
    mb.input.image.size = offsetof(struct multiboot32, multiboot) + 11; /* cut within it */
    mb_expect_refusal(STATUS_INVALID, "no Multiboot header");
    mb_use_flat();
    mb.input.image.size = offsetof(struct multiboot_flat, multiboot) + 31;
    mb_expect_refusal(STATUS_INVALID, "a Multiboot magic number");
}

/* The header may be anywhere in the first 8192 bytes, at a multiple of 4; a wrong one may precede.
 */
static void test_search(void **state)
{
    static uint32_t file[8192 / 4 + 8];
    static const unsigned places[] = {8192 / 4 - 8, 8192 / 4 - 7};

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        memset(file, 0, sizeof(file));
        uint32_t *header = file + places[i];
        file[0] = 0x1badb002;
        multiboot_set_flags(header, 0x10003);
        header[3] = (uint32_t)MULTIBOOT_BASE + 4 * places[i];
        header[4] = MULTIBOOT_BASE;
        header[7] = MULTIBOOT_BASE;
        mb.input.image.data = (const uint8_t *)file;
        mb.input.image.size = sizeof(file);
        if (i == 0) {
            mb_expect_good();
        } else {
            mb_expect_refusal(STATUS_INVALID, "a Multiboot magic number, but no whole header");
        }
    }
}

static void test_flags(void **state)
{
    multiboot_set_flags(mb.elf32.multiboot, 7);
    mb_expect_refusal(STATUS_UNSUPPORTED,
                      "guest.elf: its Multiboot header at 74h requires features "
                      "0x4 (4: a video mode)");
    multiboot_set_flags(mb.elf32.multiboot, 0x8000);
    mb_expect_refusal(STATUS_UNSUPPORTED, "requires features 0x8000");
    multiboot_set_flags(mb.elf32.multiboot, 0xfffe0000); /* all of these are optional */
    mb_expect_good();
}

static void test_no_elf(void **state)
{
    mb.elf32.header.e_ident[1] = 'e';
    mb_expect_refusal(STATUS_UNSUPPORTED, "gives no addresses, and it is no ELF file");
    mb.elf32.header.e_ident[EI_CLASS] = 3;
    mb_expect_refusal(STATUS_UNSUPPORTED, "(class 3, type 2, machine 3)");
    mb.elf32.header.e_ident[EI_DATA] = ELFDATA2MSB;
    mb_expect_refusal(STATUS_UNSUPPORTED, "not a static ELF executable for x86");
    mb.elf32.header.e_type = ET_DYN;
    mb_expect_refusal(STATUS_UNSUPPORTED, "link it with -static and -no-pie");
    mb.elf32.header.e_machine = EM_ARM;
    mb_expect_refusal(STATUS_UNSUPPORTED, "not a static ELF executable for x86");
}

static void test_program_headers(void **state)
{
    mb.elf32.header.e_phentsize = sizeof(Elf64_Phdr);
    mb_expect_refusal(STATUS_INVALID, "2 program headers of 56 bytes at 0x34");
    mb.elf32.header.e_phnum = 0;
    mb_expect_refusal(STATUS_INVALID, "0 program headers");
    mb.elf32.header.e_phnum = 65;
    mb_expect_refusal(STATUS_INVALID, "it needs 1 to 64, within the file");
    mb.elf32.header.e_phoff = sizeof(mb.elf32) - 63;
    mb_expect_refusal(STATUS_INVALID, "within the file");
    mb_use_elf64();
    mb.elf64.header.e_phoff = UINT64_MAX - 3;
    mb_expect_refusal(STATUS_INVALID, "2 program headers of 56 bytes at 0xfffffffffffffffc");
}

static void test_too_many_segments(void **state)
{
    static struct {
        struct multiboot32 elf;
        Elf32_Phdr program[65];
    } file;

    multiboot32_make(&file.elf);
    file.elf.header.e_phoff = offsetof(typeof(file), program);
    file.elf.header.e_phnum = 64;
    for (unsigned i = 0; i < 65; i++) {
        file.program[i] = file.elf.code;
        file.program[i].p_paddr += 0x1000 * i;
        file.program[i].p_vaddr = file.program[i].p_paddr;
    }
    mb.input.image.data = (const uint8_t *)&file;
    mb.input.image.size = sizeof(file);
    mb_expect_refusal(STATUS_NO_MEMORY,
                      "guest.elf: more than 64 pieces: link it with fewer segments");
    file.elf.header.e_phnum = 65;
    mb.input.image.data = (const uint8_t *)&file;
    mb.input.image.size = sizeof(file);
    mb_expect_refusal(STATUS_INVALID, "guest.elf: 65 program headers of 32 bytes");
    file.elf.header.e_phnum = 62; /* with BIOS data and boot information, 64 */
    mb.input.image.data = (const uint8_t *)&file;
    mb.input.image.size = sizeof(file);
    mb_expect_good();
    assert_int_equal(mb.plan.piece_count, LOAD_PIECES_MAX);
    mb.input.module_count = 1;
    mb_expect_refusal(STATUS_NO_MEMORY, "more than 64 pieces");
}

static void test_segments(void **state)
{
    mb.elf32.data.p_filesz = 0x81;
    mb_expect_refusal(STATUS_INVALID,
                      "guest.elf: the segment at 0x101000 has 0x2345 bytes of memory, "
                      "and 0x81 at 0x174 of a file of 0x1f4: the file is cut off");
    mb.elf32.data.p_memsz = 0x7f;
    mb_expect_refusal(STATUS_INVALID, "has 0x7f bytes of memory");
    mb_use_elf64();
    mb.elf64.data.p_offset = UINT64_MAX;
    mb_expect_refusal(STATUS_INVALID, "at 0xffffffffffffffff of a file");
    mb.elf32.data.p_paddr = MULTIBOOT_BASE + 0xff;
    mb_expect_refusal(STATUS_CONFLICT, "guest.elf: the segment at 0x1000ff, 0x2345 bytes, overlaps "
                                       "the segment at 0x100000, 0x100 bytes (guest.elf)");
    mb.elf32.data.p_paddr = 0x4ff;
    mb_expect_refusal(STATUS_CONFLICT,
                      "overlaps the BIOS data area at 0x400, 0x100 bytes (firmware)");
}

/* Segments where no RAM is. */
static void test_segments_outside(void **state)
{
    static const uint64_t bad[] = {0x9fbff,
                                   0x9fc00,
                                   0xa0000,
                                   0xe0000,
                                   0xffffe,
                                   128 * MIB - 1,
                                   0xfee00000,
                                   UINT32_MAX,
                                   1ULL << 32,
                                   1ULL << 63,
                                   UINT64_MAX - 0x2344,
                                   UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        mb_use_elf64();
        mb.input.memory_above_4g = 64 * MIB;
        mb.elf64.data.p_paddr = bad[i];
        mb_expect_refusal(STATUS_RANGE, "is not in the VM's RAM below 4 GiB (to 9fc00h, and from "
                                        "100000h to 0x8000000): give it more memory, or link it "
                                        "elsewhere");
    }
    mb_use_elf64();
    mb.elf64.data.p_memsz = UINT64_MAX;
    mb_expect_refusal(STATUS_RANGE, "is not in the VM's RAM");
}

static void test_entry(void **state)
{
    static const uint64_t bad[] = {
        0, 0x400, MULTIBOOT_BASE - 1, MULTIBOOT_BASE + 0x100, MULTIBOOT_BASE + 0x1080, UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        mb_use_elf64();
        mb.elf64.header.e_entry = bad[i];
        mb_expect_refusal(STATUS_RANGE, "is not in what was loaded from the file");
    }
    mb_use_flat();
    mb.flat.multiboot[7] = MULTIBOOT_BASE + 0x80;
    mb_expect_refusal(STATUS_RANGE,
                      "guest.elf: its entry 0x100080 is not in what was loaded from the "
                      "file: correct the linker script's ENTRY()");
}

static void test_address_fields(void **state)
{
    static const struct {
        unsigned field;
        uint32_t value;
        const char *words;
    } bad[] = {
        {3, MULTIBOOT_BASE - 1,                      "load_addr is behind header_addr"     },
        {3, MULTIBOOT_BASE + 0x41,                   "or before the file's start"          },
        {5, MULTIBOOT_BASE,                          "load_end_addr is before load_addr"   },
        {5, MULTIBOOT_BASE - 1,                      "load_end_addr is before load_addr"   },
        {5, MULTIBOOT_BASE + sizeof(mb.flat) - 0x1f, "or behind the file's end"            },
        {5, UINT32_MAX,                              "or behind the file's end"            },
        {6, MULTIBOOT_BASE + 0x7f,                   "bss_end_addr is before load_end_addr"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        mb_use_flat();
        mb.flat.multiboot[bad[i].field] = bad[i].value;
        mb_expect_refusal(STATUS_INVALID, bad[i].words);
    }
    mb_use_flat();
    mb.flat.multiboot[6] = UINT32_MAX;
    mb_expect_refusal(STATUS_RANGE, "guest.elf: the segment at 0x100000");
    mb_use_flat();
    mb.flat.multiboot[3] = UINT32_MAX; /* load_addr such that all of it lies across 4 GiB */
    mb.flat.multiboot[4] = UINT32_MAX - 0x20;
    mb.flat.multiboot[5] = mb.flat.multiboot[6] = 0;
    mb_expect_refusal(STATUS_RANGE, "is not in the VM's RAM");
}

static void test_input(void **state)
{
    static char text[LOAD_CMDLINE_MAX + 1];

    mb.input.initrd = (struct load_file){mb.data, 5, "initrd.img", NULL};
    mb_expect_refusal(STATUS_UNSUPPORTED,
                      "a Multiboot image takes no initrd: give it as a 'module'");
    mb.input.module_count = LOAD_MODULES_MAX + 1;
    mb_expect_refusal(STATUS_RANGE, "guest.elf: 9 modules, at most 8 are loaded");
    mb.input.module_count = 2;
    mb.modules[1].size = 0;
    mb_expect_refusal(STATUS_INVALID, "disk.img: the file is empty or was not loaded");
    memset(text, 'x', LOAD_CMDLINE_MAX);
    mb.input.cmdline = text;
    mb_expect_refusal(STATUS_RANGE, "guest.elf: the command line is longer than 4095 characters");
    mb.input.module_count = 2;
    mb.modules[1].arguments = text;
    mb_expect_refusal(STATUS_RANGE, "disk.img: the text behind this module is longer than 1023 "
                                    "characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_header, mb_create),
        cmocka_unit_test_setup(test_search, mb_create),
        cmocka_unit_test_setup(test_flags, mb_create),
        cmocka_unit_test_setup(test_no_elf, mb_create),
        cmocka_unit_test_setup(test_program_headers, mb_create),
        cmocka_unit_test_setup(test_too_many_segments, mb_create),
        cmocka_unit_test_setup(test_segments, mb_create),
        cmocka_unit_test_setup(test_segments_outside, mb_create),
        cmocka_unit_test_setup(test_entry, mb_create),
        cmocka_unit_test_setup(test_address_fields, mb_create),
        cmocka_unit_test_setup(test_input, mb_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
