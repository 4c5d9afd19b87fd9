/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1: what the plan says for good images, and every reason to refuse one. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/load/images.h"
#include "vmm/load/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The information structure, 3.3, as far as it is provided. */
struct info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
        mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name, apm_table;
};

static struct multiboot32 elf32;
static struct multiboot64 elf64;
static struct multiboot_flat flat;
static uint8_t data[0x5000];
static struct load_file modules[LOAD_MODULES_MAX + 1];
static struct load_input input;
static struct load_plan plan;

static int files_create(void **state)
{
    multiboot32_make(&elf32);
    multiboot64_make(&elf64);
    multiboot_flat_make(&flat);
    for (unsigned i = 0; i < ARRAY_SIZE(modules); i++) {
        modules[i] = (struct load_file){data + i, 0x1001 + i, "disk.img", NULL};
    }
    input = input_make(LOAD_MULTIBOOT, &elf32, sizeof(elf32), "guest.elf");
    input.modules = modules;
    return 0;
}

static void use_elf64(void)
{
    input.image.data = (const uint8_t *)&elf64;
    input.image.size = sizeof(elf64);
}

static void use_flat(void)
{
    input.image.data = (const uint8_t *)&flat;
    input.image.size = sizeof(flat);
}

static void expect_good(void)
{
    fake_log_clear();
    if (load_plan_build(&input, &plan) != STATUS_OK) {
        fail_msg("refused: %s", fake_log_text());
    }
}

static void expect_refusal(enum status status, const char *words)
{
    refusal_expect(&input, &plan, status, words);
    (void)files_create(NULL);
}

static struct info info_get(void)
{
    struct info info;

    memcpy(&info, plan_at(&plan, plan.entry.rbx), sizeof(info));
    return info;
}

/* The piece at ADDRESS, which there must be. */
static const struct load_piece *piece_at(uint64_t address)
{
    for (unsigned i = 0; i < plan.piece_count; i++) {
        if (plan.piece[i].to.raw == address) {
            return &plan.piece[i];
        }
    }
    fail_msg("no piece begins at %#lx", address);
    return NULL;
}

static void check_segments(const void *text, const void *values)
{
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_PROTECTED32);
    assert_int_equal(plan.entry.rax, 0x2badb002);
    assert_int_equal(plan.entry.rip, MULTIBOOT_ENTRY);
    assert_int_equal(plan.entry.cs, 0x10);
    assert_int_equal(plan.entry.ds, 0x18);
    assert_int_equal(bytes_get64(plan_at(&plan, plan.entry.gdt.raw + 0x10)), 0xcf9b000000ffff);
    assert_int_equal(bytes_get64(plan_at(&plan, plan.entry.gdt.raw + 0x18)), 0xcf93000000ffff);
    const struct load_piece *code = piece_at(MULTIBOOT_BASE);
    assert_ptr_equal(code->from, text);
    assert_int_equal(code->size, 0x100);
    assert_int_equal(code->zero, 0);
    const struct load_piece *rest = piece_at(MULTIBOOT_BASE + 0x1000);
    assert_ptr_equal(rest->from, values);
    assert_int_equal(rest->size, 0x80);
    assert_int_equal(rest->zero, 0x2345 - 0x80);
}

static void test_elf32(void **state)
{
    expect_good();
    check_segments(elf32.multiboot, elf32.values);
}

static void test_elf64(void **state)
{
    use_elf64();
    expect_good();
    check_segments(elf64.multiboot, elf64.values);
}

static void test_flat(void **state)
{
    use_flat();
    expect_good();
    const struct load_piece *image = piece_at(MULTIBOOT_BASE);
    assert_ptr_equal(image->from, (const uint8_t *)&flat + 0x20);
    assert_int_equal(image->size, 0x80);
    assert_int_equal(image->zero, MULTIBOOT_END - MULTIBOOT_BASE - 0x80);
    assert_int_equal(plan.entry.rip, MULTIBOOT_BASE + 0x40);
    flat.multiboot[5] = 0; /* to the end of the file, no BSS */
    flat.multiboot[6] = 0;
    expect_good();
    assert_int_equal(piece_at(MULTIBOOT_BASE)->size, sizeof(flat) - 0x20);
    assert_int_equal(piece_at(MULTIBOOT_BASE)->zero, 0);
}

static void test_info(void **state)
{
    static const char *const texts[] = {"one two", "", NULL};

    input.memory_above_4g = 4096 * MIB;
    input.cmdline = "lenient n=5";
    input.module_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        modules[i].arguments = texts[i];
    }
    expect_good();
    struct info info = info_get();
    assert_int_equal(info.flags, 1 | 4 | 8 | 64 | 512);
    assert_int_equal(info.mem_lower, 639);
    assert_int_equal(info.mem_upper, 127 << 10);
    assert_string_equal(plan_at(&plan, info.cmdline), "lenient n=5");
    assert_string_equal(plan_at(&plan, info.loader_name), "Portolan");
    assert_int_equal(info.mods_count, 3);
    uint64_t end = MULTIBOOT_END;
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *entry = plan_at(&plan, info.mods_addr + 16UL * i);
        uint32_t start = bytes_get32(entry);
        assert_int_equal(start, align_up(end, PAGE_SIZE));
        assert_ptr_equal(plan_at(&plan, start), data + i);
        end = bytes_get32(entry + 4);
        assert_int_equal(end - start, 0x1001 + i);
        assert_string_equal(plan_at(&plan, bytes_get32(entry + 8)), i == 0 ? "one two" : "");
        assert_int_equal(bytes_get32(entry + 12), 0);
    }
}

static void test_memory_map(void **state)
{
    static const struct {
        uint64_t base;
        uint64_t size;
        uint32_t type;
    } wanted[] = {
        {0,          0x9fc00,   1},
        {0x9fc00,    0x400,     2},
        {0xe0000,    0x20000,   2},
        {0x100000,   127 * MIB, 1},
        {0xfec00000, 0x1000,    2},
        {0xfee00000, 0x1000,    2},
        {0xffff0000, 0x10000,   2},
    };

    expect_good();
    struct info info = info_get();
    uint32_t at = info.mmap_addr;
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) { /* as the specification tells to walk it */
        const uint8_t *entry = plan_at(&plan, at);
        assert_int_equal(bytes_get64(entry + 4), wanted[i].base);
        assert_int_equal(bytes_get64(entry + 12), wanted[i].size);
        assert_int_equal(bytes_get32(entry + 20), wanted[i].type);
        at += bytes_get32(entry) + 4;
    }
    assert_int_equal(at, info.mmap_addr + info.mmap_length);
}

/* The least VM there can be. */
static void test_small_memory(void **state)
{
    input.memory_below_4g = 2 * MIB;
    input.module_count = 1;
    expect_good();
    assert_int_equal(info_get().mem_upper, 1024);
    modules[0].size = 2 * MIB - 0x104000 + 1;
    expect_refusal(STATUS_RANGE, "disk.img: this module's 1032193 bytes do not fit between "
                                 "0x104000 and 0x200000, the end of RAM: raise 'memory'");
    input.memory_below_4g = 2 * MIB;
    elf32.data.p_memsz = 2 * MIB - 0x101000;
    expect_good();
    elf32.data.p_memsz++;
    expect_refusal(STATUS_RANGE, "guest.elf: the segment at 0x101000, 0x80 and 0xfef81 zero bytes, "
                                 "is not in the VM's RAM");
}

/* A kernel that is linked higher than it is loaded. */
static void test_entry_virtual(void **state)
{
    elf32.header.e_entry = 0xc0100020;
    elf32.code.p_vaddr = 0xc0100000;
    expect_good();
    assert_int_equal(plan.entry.rip, MULTIBOOT_ENTRY);
    elf32.data.p_vaddr = 0xe0000000;
    elf32.header.e_entry = 0xe0000004; /* in the second segment */
    expect_good();
    assert_int_equal(plan.entry.rip, MULTIBOOT_BASE + 0x1004);
    elf32.header.e_entry = MULTIBOOT_ENTRY; /* ... and whose entry is physical already */
    expect_good();
    assert_int_equal(plan.entry.rip, MULTIBOOT_ENTRY);
}

/* A kernel that fills conventional memory gets its information elsewhere. */
static void test_low_kernel(void **state)
{
    elf32.code.p_paddr = elf32.code.p_vaddr = 0x10000;
    elf32.header.e_entry = 0x10020;
    expect_good();
    assert_int_equal(plan.entry.rip, 0x10020);
    assert_true(plan.entry.rbx >= 0x11000 && plan.entry.rbx < 0x9fc00);
    elf32.code.p_memsz = 0x9fc00 - 0x10000;
    input.module_count = 1;
    expect_good();
    assert_true(plan.entry.rbx >= MULTIBOOT_BASE);
    input.memory_below_4g = 2 * MIB;
    elf32.data.p_memsz = 2 * MIB - 0x101000;
    elf32.data.p_paddr = 0x100000;
    elf32.data.p_memsz = MIB - 0x8000;
    input.module_count = 0;
    expect_refusal(STATUS_RANGE, "image and modules leave no 36 KiB for the boot information");
}

static void test_empty_segments(void **state)
{
    elf32.data.p_filesz = 0;
    elf32.data.p_memsz = 0;
    elf32.data.p_paddr = 0xf0000000; /* of nothing */
    expect_good();
    assert_int_equal(plan.piece_count, 3);
    elf32.data.p_type = PT_NOTE;
    expect_good();
}

static void test_no_header(void **state)
{
    elf32.multiboot[0]++;
    expect_refusal(STATUS_INVALID, "guest.elf: no Multiboot header in its first 8192 bytes");
    elf32.multiboot[2]++;
    expect_refusal(STATUS_INVALID, "guest.elf: a Multiboot magic number, but no whole header with "
                                   "a right checksum");
    input.image.size = offsetof(struct multiboot32, multiboot) + 11; /* cut within it */
    expect_refusal(STATUS_INVALID, "no Multiboot header");
    use_flat();
    input.image.size = offsetof(struct multiboot_flat, multiboot) + 31;
    expect_refusal(STATUS_INVALID, "a Multiboot magic number");
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
        input.image.data = (const uint8_t *)file;
        input.image.size = sizeof(file);
        if (i == 0) {
            expect_good();
        } else {
            expect_refusal(STATUS_INVALID, "a Multiboot magic number, but no whole header");
        }
    }
}

static void test_flags(void **state)
{
    multiboot_set_flags(elf32.multiboot, 7);
    expect_refusal(STATUS_UNSUPPORTED, "guest.elf: its Multiboot header at 74h requires features "
                                       "0x4 (4: a video mode)");
    multiboot_set_flags(elf32.multiboot, 0x8000);
    expect_refusal(STATUS_UNSUPPORTED, "requires features 0x8000");
    multiboot_set_flags(elf32.multiboot, 0xfffe0000); /* all of these are optional */
    expect_good();
}

static void test_no_elf(void **state)
{
    elf32.header.e_ident[1] = 'e';
    expect_refusal(STATUS_UNSUPPORTED, "gives no addresses, and it is no ELF file");
    elf32.header.e_ident[EI_CLASS] = 3;
    expect_refusal(STATUS_UNSUPPORTED, "(class 3, type 2, machine 3)");
    elf32.header.e_ident[EI_DATA] = ELFDATA2MSB;
    expect_refusal(STATUS_UNSUPPORTED, "not a static ELF executable for x86");
    elf32.header.e_type = ET_DYN;
    expect_refusal(STATUS_UNSUPPORTED, "link it with -static and -no-pie");
    elf32.header.e_machine = EM_ARM;
    expect_refusal(STATUS_UNSUPPORTED, "not a static ELF executable for x86");
}

static void test_program_headers(void **state)
{
    elf32.header.e_phentsize = sizeof(Elf64_Phdr);
    expect_refusal(STATUS_INVALID, "2 program headers of 56 bytes at 0x34");
    elf32.header.e_phnum = 0;
    expect_refusal(STATUS_INVALID, "0 program headers");
    elf32.header.e_phnum = 65;
    expect_refusal(STATUS_INVALID, "it needs 1 to 64, within the file");
    elf32.header.e_phoff = sizeof(elf32) - 63;
    expect_refusal(STATUS_INVALID, "within the file");
    use_elf64();
    elf64.header.e_phoff = UINT64_MAX - 3;
    expect_refusal(STATUS_INVALID, "2 program headers of 56 bytes at 0xfffffffffffffffc");
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
    input.image.data = (const uint8_t *)&file;
    input.image.size = sizeof(file);
    expect_refusal(STATUS_NO_MEMORY, "guest.elf: more than 64 pieces: link it with fewer segments");
    file.elf.header.e_phnum = 65;
    input.image.data = (const uint8_t *)&file;
    input.image.size = sizeof(file);
    expect_refusal(STATUS_INVALID, "guest.elf: 65 program headers of 32 bytes");
    file.elf.header.e_phnum = 62; /* with BIOS data and boot information, 64 */
    input.image.data = (const uint8_t *)&file;
    input.image.size = sizeof(file);
    expect_good();
    assert_int_equal(plan.piece_count, LOAD_PIECES_MAX);
    input.module_count = 1;
    expect_refusal(STATUS_NO_MEMORY, "more than 64 pieces");
}

static void test_segments(void **state)
{
    elf32.data.p_filesz = 0x81;
    expect_refusal(STATUS_INVALID, "guest.elf: the segment at 0x101000 has 0x2345 bytes of memory, "
                                   "and 0x81 at 0x174 of a file of 0x1f4: the file is cut off");
    elf32.data.p_memsz = 0x7f;
    expect_refusal(STATUS_INVALID, "has 0x7f bytes of memory");
    use_elf64();
    elf64.data.p_offset = UINT64_MAX;
    expect_refusal(STATUS_INVALID, "at 0xffffffffffffffff of a file");
    elf32.data.p_paddr = MULTIBOOT_BASE + 0xff;
    expect_refusal(STATUS_CONFLICT, "guest.elf: the segment at 0x1000ff, 0x2345 bytes, overlaps "
                                    "the segment at 0x100000, 0x100 bytes (guest.elf)");
    elf32.data.p_paddr = 0x4ff;
    expect_refusal(STATUS_CONFLICT, "overlaps the BIOS data area at 0x400, 0x100 bytes (firmware)");
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
        use_elf64();
        input.memory_above_4g = 64 * MIB;
        elf64.data.p_paddr = bad[i];
        expect_refusal(STATUS_RANGE, "is not in the VM's RAM below 4 GiB (to 9fc00h, and from "
                                     "100000h to 0x8000000): give it more memory, or link it "
                                     "elsewhere");
    }
    use_elf64();
    elf64.data.p_memsz = UINT64_MAX;
    expect_refusal(STATUS_RANGE, "is not in the VM's RAM");
}

static void test_entry(void **state)
{
    static const uint64_t bad[] = {
        0, 0x400, MULTIBOOT_BASE - 1, MULTIBOOT_BASE + 0x100, MULTIBOOT_BASE + 0x1080, UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        use_elf64();
        elf64.header.e_entry = bad[i];
        expect_refusal(STATUS_RANGE, "is not in what was loaded from the file");
    }
    use_flat();
    flat.multiboot[7] = MULTIBOOT_BASE + 0x80;
    expect_refusal(STATUS_RANGE, "guest.elf: its entry 0x100080 is not in what was loaded from the "
                                 "file: correct the linker script's ENTRY()");
}

static void test_address_fields(void **state)
{
    static const struct {
        unsigned field;
        uint32_t value;
        const char *words;
    } bad[] = {
        {3, MULTIBOOT_BASE - 1,                   "load_addr is behind header_addr"     },
        {3, MULTIBOOT_BASE + 0x41,                "or before the file's start"          },
        {5, MULTIBOOT_BASE,                       "load_end_addr is before load_addr"   },
        {5, MULTIBOOT_BASE - 1,                   "load_end_addr is before load_addr"   },
        {5, MULTIBOOT_BASE + sizeof(flat) - 0x1f, "or behind the file's end"            },
        {5, UINT32_MAX,                           "or behind the file's end"            },
        {6, MULTIBOOT_BASE + 0x7f,                "bss_end_addr is before load_end_addr"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        use_flat();
        flat.multiboot[bad[i].field] = bad[i].value;
        expect_refusal(STATUS_INVALID, bad[i].words);
    }
    use_flat();
    flat.multiboot[6] = UINT32_MAX;
    expect_refusal(STATUS_RANGE, "guest.elf: the segment at 0x100000");
    use_flat();
    flat.multiboot[3] = UINT32_MAX; /* load_addr such that all of it lies across 4 GiB */
    flat.multiboot[4] = UINT32_MAX - 0x20;
    flat.multiboot[5] = flat.multiboot[6] = 0;
    expect_refusal(STATUS_RANGE, "is not in the VM's RAM");
}

static void test_input(void **state)
{
    static char text[LOAD_CMDLINE_MAX + 1];

    input.initrd = (struct load_file){data, 5, "initrd.img", NULL};
    expect_refusal(STATUS_UNSUPPORTED, "a Multiboot image takes no initrd: give it as a 'module'");
    input.module_count = LOAD_MODULES_MAX + 1;
    expect_refusal(STATUS_RANGE, "guest.elf: 9 modules, at most 8 are loaded");
    input.module_count = 2;
    modules[1].size = 0;
    expect_refusal(STATUS_INVALID, "disk.img: the file is empty or was not loaded");
    memset(text, 'x', LOAD_CMDLINE_MAX);
    input.cmdline = text;
    expect_refusal(STATUS_RANGE, "guest.elf: the command line is longer than 4095 characters");
    input.module_count = 2;
    modules[1].arguments = text;
    expect_refusal(STATUS_RANGE, "disk.img: the text behind this module is longer than 1023 "
                                 "characters");
}

/* All limits at once still fit into the generated data. */
static void test_longest_texts(void **state)
{
    static char text[LOAD_CMDLINE_MAX];
    static char module_text[LOAD_MODULE_TEXT_MAX];

    memset(text, 'c', sizeof(text) - 1);
    memset(module_text, 'm', sizeof(module_text) - 1);
    input.cmdline = text;
    input.module_count = LOAD_MODULES_MAX;
    for (unsigned i = 0; i < LOAD_MODULES_MAX; i++) {
        modules[i].arguments = module_text;
    }
    expect_good();
    struct info info = info_get();
    assert_string_equal(plan_at(&plan, info.cmdline), text);
    for (unsigned i = 0; i < LOAD_MODULES_MAX; i++) {
        uint32_t address = bytes_get32(plan_at(&plan, info.mods_addr + 16UL * i) + 8);
        assert_string_equal(plan_at(&plan, address), module_text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_elf32, files_create),
        cmocka_unit_test_setup(test_elf64, files_create),
        cmocka_unit_test_setup(test_flat, files_create),
        cmocka_unit_test_setup(test_info, files_create),
        cmocka_unit_test_setup(test_memory_map, files_create),
        cmocka_unit_test_setup(test_small_memory, files_create),
        cmocka_unit_test_setup(test_entry_virtual, files_create),
        cmocka_unit_test_setup(test_low_kernel, files_create),
        cmocka_unit_test_setup(test_empty_segments, files_create),
        cmocka_unit_test_setup(test_no_header, files_create),
        cmocka_unit_test_setup(test_search, files_create),
        cmocka_unit_test_setup(test_flags, files_create),
        cmocka_unit_test_setup(test_no_elf, files_create),
        cmocka_unit_test_setup(test_program_headers, files_create),
        cmocka_unit_test_setup(test_too_many_segments, files_create),
        cmocka_unit_test_setup(test_segments, files_create),
        cmocka_unit_test_setup(test_segments_outside, files_create),
        cmocka_unit_test_setup(test_entry, files_create),
        cmocka_unit_test_setup(test_address_fields, files_create),
        cmocka_unit_test_setup(test_input, files_create),
        cmocka_unit_test_setup(test_longest_texts, files_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
