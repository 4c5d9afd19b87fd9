/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1: what the plan says for good images, to the limits of what is good. */
#include "tests/unit/load/multiboot_files.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The information structure, 3.3, as far as it is provided. */
struct info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
        mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name, apm_table;
};

static struct info info_get(void)
{
    struct info info;

    memcpy(&info, plan_at(&mb.plan, mb.plan.entry.rbx), sizeof(info));
    return info;
}

/* The piece at ADDRESS, which there must be. */
static const struct load_piece *piece_at(uint64_t address)
{
    for (unsigned i = 0; i < mb.plan.piece_count; i++) {
        if (mb.plan.piece[i].to.raw == address) {
            return &mb.plan.piece[i];
        }
    }
    fail_msg("no piece begins at %#lx", address);
    return NULL;
}

static void check_segments(const void *text, const void *values)
{
    assert_int_equal(mb.plan.entry.mode, LOAD_ENTRY_PROTECTED32);
    assert_int_equal(mb.plan.entry.rax, 0x2badb002);
    assert_int_equal(mb.plan.entry.rip, MULTIBOOT_ENTRY);
    assert_int_equal(mb.plan.entry.cs, 0x10);
    assert_int_equal(mb.plan.entry.ds, 0x18);
    assert_int_equal(bytes_get64(plan_at(&mb.plan, mb.plan.entry.gdt.raw + 0x10)),
                     0xcf9b000000ffff);
    assert_int_equal(bytes_get64(plan_at(&mb.plan, mb.plan.entry.gdt.raw + 0x18)),
                     0xcf93000000ffff);
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
    mb_expect_good();
    check_segments(mb.elf32.multiboot, mb.elf32.values);
}

static void test_elf64(void **state)
{
    mb_use_elf64();
    mb_expect_good();
    check_segments(mb.elf64.multiboot, mb.elf64.values);
}

static void test_flat(void **state)
{
    mb_use_flat();
    mb_expect_good();
    const struct load_piece *image = piece_at(MULTIBOOT_BASE);
    assert_ptr_equal(image->from, (const uint8_t *)&mb.flat + 0x20);
    assert_int_equal(image->size, 0x80);
    assert_int_equal(image->zero, MULTIBOOT_END - MULTIBOOT_BASE - 0x80);
    assert_int_equal(mb.plan.entry.rip, MULTIBOOT_BASE + 0x40);
    mb.flat.multiboot[5] = 0; /* to the end of the file, no BSS */
    mb.flat.multiboot[6] = 0;
    mb_expect_good();
    assert_int_equal(piece_at(MULTIBOOT_BASE)->size, sizeof(mb.flat) - 0x20);
    assert_int_equal(piece_at(MULTIBOOT_BASE)->zero, 0);
}

static void test_info(void **state)
{
    static const char *const texts[] = {"one two", "", NULL};

    mb.input.memory_above_4g = 4096 * MIB;
    mb.input.cmdline = "lenient n=5";
    mb.input.module_count = 3;
    for (unsigned i = 0; i < 3; i++) {
        mb.modules[i].arguments = texts[i];
    }
    mb_expect_good();
    struct info info = info_get();
    assert_int_equal(info.flags, 1 | 4 | 8 | 64 | 512);
    assert_int_equal(info.mem_lower, 639);
    assert_int_equal(info.mem_upper, 127 << 10);
    assert_string_equal(plan_at(&mb.plan, info.cmdline), "lenient n=5");
    assert_string_equal(plan_at(&mb.plan, info.loader_name), "Portolan");
    assert_int_equal(info.mods_count, 3);
    uint64_t end = MULTIBOOT_END;
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *entry = plan_at(&mb.plan, info.mods_addr + 16UL * i);
        uint32_t start = bytes_get32(entry);
        assert_int_equal(start, align_up(end, PAGE_SIZE));
        assert_ptr_equal(plan_at(&mb.plan, start), mb.data + i);
        end = bytes_get32(entry + 4);
        assert_int_equal(end - start, 0x1001 + i);
        assert_string_equal(plan_at(&mb.plan, bytes_get32(entry + 8)), i == 0 ? "one two" : "");
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

    mb_expect_good();
    struct info info = info_get();
    uint32_t at = info.mmap_addr;
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) { /* as the specification tells to walk it */
        const uint8_t *entry = plan_at(&mb.plan, at);
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
    mb.input.memory_below_4g = 2 * MIB;
    mb.input.module_count = 1;
    mb_expect_good();
    assert_int_equal(info_get().mem_upper, 1024);
    mb.modules[0].size = 2 * MIB - 0x104000 + 1;
    mb_expect_refusal(STATUS_RANGE, "disk.img: this module's 1032193 bytes do not fit between "
                                    "0x104000 and 0x200000, the end of RAM: raise 'memory'");
    mb.input.memory_below_4g = 2 * MIB;
    mb.elf32.data.p_memsz = 2 * MIB - 0x101000;
    mb_expect_good();
    mb.elf32.data.p_memsz++;
    mb_expect_refusal(STATUS_RANGE,
                      "guest.elf: the segment at 0x101000, 0x80 and 0xfef81 zero bytes, "
                      "is not in the VM's RAM");
}

/* A kernel that is linked higher than it is loaded. */
static void test_entry_virtual(void **state)
{
    mb.elf32.header.e_entry = 0xc0100020;
    mb.elf32.code.p_vaddr = 0xc0100000;
    mb_expect_good();
    assert_int_equal(mb.plan.entry.rip, MULTIBOOT_ENTRY);
    mb.elf32.data.p_vaddr = 0xe0000000;
    mb.elf32.header.e_entry = 0xe0000004; /* in the second segment */
    mb_expect_good();
    assert_int_equal(mb.plan.entry.rip, MULTIBOOT_BASE + 0x1004);
    mb.elf32.header.e_entry = MULTIBOOT_ENTRY; /* ... and whose entry is physical already */
    mb_expect_good();
    assert_int_equal(mb.plan.entry.rip, MULTIBOOT_ENTRY);
}

/* A kernel that fills conventional memory gets its information elsewhere. */
static void test_low_kernel(void **state)
{
    mb.elf32.code.p_paddr = mb.elf32.code.p_vaddr = 0x10000;
    mb.elf32.header.e_entry = 0x10020;
    mb_expect_good();
    assert_int_equal(mb.plan.entry.rip, 0x10020);
    assert_true(mb.plan.entry.rbx >= 0x11000 && mb.plan.entry.rbx < 0x9fc00);
    mb.elf32.code.p_memsz = 0x9fc00 - 0x10000;
    mb.input.module_count = 1;
    mb_expect_good();
    assert_true(mb.plan.entry.rbx >= MULTIBOOT_BASE);
    mb.input.memory_below_4g = 2 * MIB;
    mb.elf32.data.p_memsz = 2 * MIB - 0x101000;
    mb.elf32.data.p_paddr = 0x100000;
    mb.elf32.data.p_memsz = MIB - 0x8000;
    mb.input.module_count = 0;
    mb_expect_refusal(STATUS_RANGE, "image and modules leave no 36 KiB for the boot information");
}

static void test_empty_segments(void **state)
{
    mb.elf32.data.p_filesz = 0;
    mb.elf32.data.p_memsz = 0;
    mb.elf32.data.p_paddr = 0xf0000000; /* of nothing */
    mb_expect_good();
    assert_int_equal(mb.plan.piece_count, 3);
    mb.elf32.data.p_type = PT_NOTE;
    mb_expect_good();
}

/* All limits at once still fit into the generated data. */
static void test_longest_texts(void **state)
{
    static char text[LOAD_CMDLINE_MAX];
    static char module_text[LOAD_MODULE_TEXT_MAX];

    memset(text, 'c', sizeof(text) - 1);
    memset(module_text, 'm', sizeof(module_text) - 1);
    mb.input.cmdline = text;
    mb.input.module_count = LOAD_MODULES_MAX;
    for (unsigned i = 0; i < LOAD_MODULES_MAX; i++) {
        mb.modules[i].arguments = module_text;
    }
    mb_expect_good();
    struct info info = info_get();
    assert_string_equal(plan_at(&mb.plan, info.cmdline), text);
    for (unsigned i = 0; i < LOAD_MODULES_MAX; i++) {
        uint32_t address = bytes_get32(plan_at(&mb.plan, info.mods_addr + 16UL * i) + 8);
        assert_string_equal(plan_at(&mb.plan, address), module_text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_elf32, mb_create),
        cmocka_unit_test_setup(test_elf64, mb_create),
        cmocka_unit_test_setup(test_flat, mb_create),
        cmocka_unit_test_setup(test_info, mb_create),
        cmocka_unit_test_setup(test_memory_map, mb_create),
        cmocka_unit_test_setup(test_small_memory, mb_create),
        cmocka_unit_test_setup(test_entry_virtual, mb_create),
        cmocka_unit_test_setup(test_low_kernel, mb_create),
        cmocka_unit_test_setup(test_empty_segments, mb_create),
        cmocka_unit_test_setup(test_longest_texts, mb_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
