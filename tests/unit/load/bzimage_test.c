/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux: what the plan says for a good bzImage, and every reason to refuse one. */
#include "tests/unit/load/images.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint8_t file[BZIMAGE_SIZE];
static uint8_t initrd[0x12345];
static char text[LOAD_CMDLINE_MAX + 1];
static struct load_input input;
static struct load_plan plan;

static int file_create(void **state)
{
    bzimage_make(file);
    input = input_make(LOAD_LINUX, file, sizeof(file), "vmlinuz");
    memset(text, 'x', sizeof(text));
    return 0;
}

static const uint8_t *guest_at(uint64_t address)
{
    return plan_at(&plan, address);
}

static void expect_refusal(enum status status, const char *words)
{
    refusal_expect(&input, &plan, status, words);
}

static void check_params(const uint8_t *params)
{
    assert_memory_equal(params + 0x202, "HdrS", 4);
    assert_int_equal(params[0x210], 0xff);
    assert_int_equal(params[0x211], 0x81);
    assert_int_equal(bytes_get16(params + 0x1fa), 0xffff);
    assert_int_equal(bytes_get16(params + 0x224), 0xfe00);
    assert_int_equal(bytes_get64(params + 0x250), 0);
    assert_int_equal(bytes_get64(params + 0x258), BZIMAGE_BASE);
    assert_int_equal(bytes_get32(params + 0x214), BZIMAGE_BASE);
    assert_int_equal(bytes_get64(params + 0x70), 0xe0000);
    for (unsigned i = 0; i < 0x1f1; i++) {
        assert_true(params[i] == 0 || i == 0x1e8 || i / 8 == 0x70 / 8);
    }
    for (unsigned i = 0x26c; i < 0x2d0; i++) {
        assert_int_equal(params[i], 0);
    }
}

static void check_map(const uint8_t *params)
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
        {1ULL << 32, 64 * MIB,  1},
    };

    assert_int_equal(params[0x1e8], ARRAY_SIZE(wanted));
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        const uint8_t *entry = params + 0x2d0 + 20UL * i;
        assert_int_equal(bytes_get64(entry), wanted[i].base);
        assert_int_equal(bytes_get64(entry + 8), wanted[i].size);
        assert_int_equal(bytes_get32(entry + 16), wanted[i].type);
    }
}

/* Walk the page tables as the CPU does. */
static uint64_t translate(uint64_t linear)
{
    uint64_t table = plan.entry.cr3.raw;

    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        uint64_t entry = bytes_get64(guest_at(table + 8 * (linear >> shift & 511)));
        assert_int_equal(entry & 3, 3);
        if ((entry & 0x80) != 0) {
            return align_down(entry, 1ULL << shift) + (linear & ((1ULL << shift) - 1));
        }
        table = align_down(entry, PAGE_SIZE);
    }
    fail_msg("%#lx is mapped by 4 KiB pages", linear);
    return 0;
}

static void test_long_mode(void **state)
{
    input.memory_above_4g = 64 * MIB;
    input.cmdline = "console=ttyS0";
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_LONG64);
    assert_int_equal(plan.entry.rip, BZIMAGE_BASE + 0x200);
    assert_int_equal(plan.entry.cs, 0x10);
    assert_int_equal(plan.entry.ds, 0x18);
    assert_ptr_equal(guest_at(BZIMAGE_BASE), file + BZIMAGE_CODE);
    assert_int_equal(bytes_get64(guest_at(plan.entry.gdt.raw + 0x10)), 0xaf9b000000ffff);
    assert_int_equal(bytes_get64(guest_at(plan.entry.gdt.raw + 0x18)), 0xcf93000000ffff);
    for (uint64_t at = 0; at < 1ULL << 32; at += 0x1fffff) {
        assert_int_equal(translate(at), at);
    }
    const uint8_t *params = guest_at(plan.entry.rsi);
    assert_int_equal(plan.entry.rsi % PAGE_SIZE, 0);
    check_params(params);
    check_map(params);
    assert_string_equal(guest_at(bytes_get32(params + 0x228)), "console=ttyS0");
    assert_int_equal(bytes_get32(params + 0x218), 0);
    assert_int_equal(bytes_get32(params + 0x21c), 0);
}

/* As linux-image-686: no 64-bit entry. */
static void test_protected_mode(void **state)
{
    bytes_put16(file + 0x236, 0);
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_PROTECTED32);
    assert_int_equal(plan.entry.rip, BZIMAGE_BASE);
    assert_int_equal(plan.entry.cr3.raw, 0);
    assert_int_equal(bytes_get64(guest_at(plan.entry.gdt.raw + 0x10)), 0xcf9b000000ffff);
    check_params(guest_at(plan.entry.rsi));
}

/* Linux 2.6.22: neither xloadflags nor init_size, whatever is in their place. */
static void test_oldest(void **state)
{
    bytes_put16(file + 0x206, 0x206);
    file[0x201] = 0x23c - 0x202;
    file[0x234] = 0;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_PROTECTED32);
    assert_int_equal(plan.entry.rip, 0x100000);
    assert_int_equal(bytes_get32(guest_at(plan.entry.rsi) + 0x258), 0); /* not the header's */
}

static void test_bios_data(void **state)
{
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(bytes_get16(guest_at(0x400)), 0x3f8);
    assert_int_equal(bytes_get16(guest_at(0x40e)), 0x9fc0);
    assert_int_equal(bytes_get16(guest_at(0x413)), 639);
}

static void test_setup_sects_zero(void **state)
{
    file[0x1f1] = 0;
    bytes_put32(file + 0x1f4, 0);
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_ptr_equal(guest_at(BZIMAGE_BASE), file + 5UL * 512);
}

static void test_relocation(void **state)
{
    bytes_put64(file + 0x258, BZIMAGE_BASE + 0x1000); /* aligned up to 2 MiB */
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.rip, BZIMAGE_BASE + 0x200200);
    assert_int_equal(bytes_get32(guest_at(plan.entry.rsi) + 0x214), BZIMAGE_BASE + 0x200000);
    file[0x234] = 0;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.rip, BZIMAGE_BASE + 0x1200);
    bytes_put64(file + 0x258, 0); /* none preferred: code32_start */
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(plan.entry.rip, 0x100200);
}

static void test_initrd(void **state)
{
    input.initrd = (struct load_file){initrd, sizeof(initrd), "initrd.img", NULL};
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    const uint8_t *params = guest_at(plan.entry.rsi);
    assert_int_equal(bytes_get32(params + 0x218), 128 * MIB - 0x13000);
    assert_int_equal(bytes_get32(params + 0x21c), sizeof(initrd));
    assert_ptr_equal(guest_at(128 * MIB - 0x13000), initrd);
    bytes_put32(file + 0x22c, 0x37fffff); /* as high as the kernel reaches */
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_ptr_equal(guest_at(0x3800000 - 0x13000), initrd);
    input.initrd.size = PAGE_SIZE; /* the address in the header is that of the last byte */
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_ptr_equal(guest_at(0x3800000 - PAGE_SIZE), initrd);
    input.initrd.size = sizeof(initrd);
    input.memory_below_4g = LOAD_BELOW_4G_MAX;
    bytes_put32(file + 0x22c, 0xffffffff);
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_ptr_equal(guest_at(LOAD_BELOW_4G_MAX - 0x13000), initrd);
}

/* RAM that just fits kernel and initrd, and a page less. */
static void test_initrd_clear_of_kernel(void **state)
{
    input.initrd = (struct load_file){initrd, sizeof(initrd), "initrd.img", NULL};
    input.memory_below_4g = BZIMAGE_BASE + BZIMAGE_ROOM + 0x13000;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_ptr_equal(guest_at(BZIMAGE_BASE + BZIMAGE_ROOM), initrd);
    input.memory_below_4g -= PAGE_SIZE;
    expect_refusal(STATUS_RANGE, "initrd.img: 1 MiB do not fit between the end of the kernel "
                                 "vmlinuz, 0x1800000, and 0x1812000");
    bytes_put32(file + 0x22c, 0xfffff); /* reaches nothing above 1 MiB */
    expect_refusal(STATUS_RANGE, "raise 'memory' or make it smaller");
}

static void test_memory(void **state)
{
    input.memory_below_4g = BZIMAGE_BASE + BZIMAGE_ROOM;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    input.memory_below_4g -= PAGE_SIZE;
    expect_refusal(STATUS_RANGE, "vmlinuz: it starts at 0x1000000 and needs 8 MiB there; the VM's "
                                 "RAM below 4 GiB ends at 23 MiB: raise 'memory'");
    bytes_put32(file + 0x260, 0xffffffff);
    expect_refusal(STATUS_RANGE, "needs 4096 MiB there");
    bytes_put32(file + 0x260, 0); /* less than there is in the file */
    input.memory_below_4g = BZIMAGE_BASE + 0x3000;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    input.memory_below_4g -= PAGE_SIZE;
    expect_refusal(STATUS_RANGE, "and needs 1 MiB there");
    bytes_put16(file + 0x206, 0x206); /* an old kernel gets four times its size */
    file[0x234] = 0;
    input.memory_below_4g = 2 * MIB;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    bytes_put32(file + 0x214, 2 * MIB - 0x4000);
    expect_refusal(STATUS_RANGE, "it starts at 0x1fc000");
}

static void test_input(void **state)
{
    static const struct {
        uint64_t below;
        uint64_t above;
    } bad[] = {
        {0,                             0                },
        {2 * MIB - PAGE_SIZE,           0                },
        {LOAD_BELOW_4G_MAX + PAGE_SIZE, 0                },
        {128 * MIB + 1,                 0                },
        {128 * MIB,                     1                },
        {128 * MIB,                     1ULL << 48       },
        {128 * MIB,                     UINT64_MAX - 4095}
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        input.memory_below_4g = bad[i].below;
        input.memory_above_4g = bad[i].above;
        expect_refusal(STATUS_RANGE, "2 MiB to 3.5 GiB, and whole pages");
    }
    (void)file_create(state);
    input.module_count = 1;
    expect_refusal(STATUS_UNSUPPORTED, "a Linux kernel takes no modules: give an 'initrd'");
    (void)file_create(state);
    input.initrd = (struct load_file){NULL, 5, "initrd.img", NULL};
    expect_refusal(STATUS_INVALID, "initrd.img: the file is empty or was not loaded");
    (void)file_create(state);
    input.image.size = 0;
    expect_refusal(STATUS_INVALID, "vmlinuz: the file is empty or was not loaded");
}

static void test_command_line(void **state)
{
    input.cmdline = text;
    expect_refusal(STATUS_RANGE, "the command line is longer than 4095 characters");
    text[2048] = '\0';
    expect_refusal(STATUS_RANGE, "the command line has 2048 characters, this kernel takes 2047");
    text[2047] = '\0';
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    bytes_put32(file + 0x238, UINT32_MAX);
    text[2047] = 'x';
    text[2048] = 'x';
    text[LOAD_CMDLINE_MAX - 1] = '\0';
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_string_equal(guest_at(bytes_get32(guest_at(plan.entry.rsi) + 0x228)), text);
}

static void test_no_kernel(void **state)
{
    file[0x202] = 'h';
    expect_refusal(STATUS_INVALID, "vmlinuz: a boot sector or disk image");
    file[0x1ff] = 0;
    file[0x202] = 'h';
    expect_refusal(STATUS_INVALID, "vmlinuz: not a Linux bzImage (no 'HdrS' at 202h)");
    (void)file_create(state);
    file[0x1ff] = 0;
    expect_refusal(STATUS_INVALID, "a Linux kernel whose first sectors are damaged");
    (void)file_create(state);
    input.image.size = 5UL * 512 - 1;
    expect_refusal(STATUS_INVALID, "a Linux kernel whose first sectors are damaged");
}

static void test_old_kernels(void **state)
{
    bytes_put16(file + 0x206, 0x205);
    expect_refusal(STATUS_UNSUPPORTED, "vmlinuz: boot protocol 2.05; 2.06 (Linux 2.6.22) is the "
                                       "oldest that needs no BIOS");
    (void)file_create(state);
    file[0x211] = 0;
    expect_refusal(STATUS_UNSUPPORTED, "vmlinuz: a zImage");
}

static void test_damaged(void **state)
{
    input.image.size -= 16;
    expect_refusal(STATUS_INVALID, "vmlinuz: 13808 bytes, its header announces 13824: the file is "
                                   "cut off");
    (void)file_create(state);
    input.image.size -= 15; /* the last 16 bytes may be padding */
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    (void)file_create(state);
    bytes_put32(file + 0x1f4, UINT32_MAX);
    expect_refusal(STATUS_INVALID, "cut off");
    (void)file_create(state);
    file[0x1f1] = 255;
    expect_refusal(STATUS_INVALID, "cut off");
    (void)file_create(state);
    file[0x201] = 0x61;
    expect_refusal(STATUS_INVALID, "its setup header ends at 263h, protocol 2.15 needs 264h");
    (void)file_create(state);
    file[0x201] = 0xff; /* longer than boot_params has room: the rest is not copied */
    memset(file + 0x268, 0xee, 0x100);
    assert_int_equal(load_plan_build(&input, &plan), STATUS_OK);
    assert_int_equal(guest_at(plan.entry.rsi)[0x28f], 0xee);
    assert_int_equal(guest_at(plan.entry.rsi)[0x290], 0);
    (void)file_create(state);
    bytes_put32(file + 0x230, 0x300000);
    expect_refusal(STATUS_INVALID, "kernel_alignment is 0x300000, no power of two");
    bytes_put32(file + 0x230, 0);
    expect_refusal(STATUS_INVALID, "kernel_alignment is 0");
}

static void test_addresses(void **state)
{
    static const uint64_t bad[] = {1, 0xfffff, 1ULL << 32, UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        bytes_put64(file + 0x258, bad[i]);
        expect_refusal(STATUS_RANGE, "kernels lie between 1 MiB and 4 GiB");
    }
    bytes_put64(file + 0x258, 0xfffff000); /* aligned up, this is 4 GiB */
    expect_refusal(STATUS_RANGE, "it starts at 0x100000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_long_mode, file_create),
        cmocka_unit_test_setup(test_protected_mode, file_create),
        cmocka_unit_test_setup(test_oldest, file_create),
        cmocka_unit_test_setup(test_bios_data, file_create),
        cmocka_unit_test_setup(test_setup_sects_zero, file_create),
        cmocka_unit_test_setup(test_relocation, file_create),
        cmocka_unit_test_setup(test_initrd, file_create),
        cmocka_unit_test_setup(test_initrd_clear_of_kernel, file_create),
        cmocka_unit_test_setup(test_memory, file_create),
        cmocka_unit_test_setup(test_input, file_create),
        cmocka_unit_test_setup(test_command_line, file_create),
        cmocka_unit_test_setup(test_no_kernel, file_create),
        cmocka_unit_test_setup(test_old_kernels, file_create),
        cmocka_unit_test_setup(test_damaged, file_create),
        cmocka_unit_test_setup(test_addresses, file_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
