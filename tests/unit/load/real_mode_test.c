/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels with a 16-bit entry, for a BIOS's option ROM: 'real_mode_test FOLDER', with files of
 * Debian's in it. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/load/images.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_SIZE_MAX (16UL << 20)

static const char *folder;
static uint8_t *file;
static uint8_t initrd[0x12345];
static uint8_t setup[LOAD_SETUP_MAX];
static char text[LOAD_CMDLINE_MAX + 1];
static struct load_input input;
static struct load_piece part[LOAD_PARTS];

static int file_create(void **state)
{
    bzimage_make(file);
    input = input_make(LOAD_LINUX, file, BZIMAGE_SIZE, "kernel");
    input.cmdline = "quiet";
    memset(text, 'x', sizeof(text));
    text[LOAD_CMDLINE_MAX] = '\0';
    memset(setup, 0xee, sizeof(setup));
    return 0;
}

static void expect_part(enum load_part index, uint64_t at, uint64_t size, const uint8_t *from)
{
    assert_int_equal(part[index].to.raw, at);
    assert_int_equal(part[index].size, size);
    assert_ptr_equal(part[index].from, from);
}

static void expect_good(void)
{
    fake_log_clear();
    if (load_real_mode(&input, setup, part) != STATUS_OK) {
        fail_msg("refused: %s", fake_log_text());
    }
}

static void expect_refused(enum status status, const char *words)
{
    fake_log_clear();
    assert_int_equal(load_real_mode(&input, setup, part), status);
    if (!fake_log_contains(words)) {
        fail_msg("no '%s' in: %s", words, fake_log_text());
    }
}

/* The header's bytes that a loader writes, from FIRST on, differ from the file's; no others do. */
static void expect_changed(const uint32_t *offsets, unsigned count)
{
    uint32_t size = (uint32_t)part[LOAD_SETUP].size;
    unsigned changed = 0;

    for (uint32_t i = 0; i < size; i++) {
        bool listed = false;

        for (unsigned n = 0; n < count; n++) {
            listed = listed || (i >= offsets[n] && i < offsets[n] + 4);
        }
        assert_true(listed || setup[i] == file[i]);
        changed += setup[i] != file[i];
    }
    assert_true(changed > 0);
    for (uint32_t i = size; i < LOAD_SETUP_MAX; i++) {
        assert_int_equal(setup[i], 0xee);
    }
}

static void test_new(void **state)
{
    static const uint32_t written[] = {0x210, 0x218, 0x21c, 0x224, 0x228};

    input.initrd = (struct load_file){.data = initrd, .size = sizeof(initrd), .name = "initrd"};
    expect_good();
    expect_part(LOAD_SETUP, 0x10000, BZIMAGE_CODE, setup);
    expect_part(LOAD_KERNEL, 0x100000, BZIMAGE_SIZE - BZIMAGE_CODE, file + BZIMAGE_CODE);
    expect_part(LOAD_CMDLINE, 0x20000, 6, (const uint8_t *)input.cmdline);
    expect_part(LOAD_INITRD, align_down(128 * MIB - 0x28000 - sizeof(initrd), PAGE_SIZE),
                sizeof(initrd), initrd);
    expect_changed(written, ARRAY_SIZE(written));
    assert_int_equal(setup[0x210], 0xb0);
    assert_int_equal(setup[0x211], 0xc1);
    assert_int_equal(bytes_get32(setup + 0x218), part[LOAD_INITRD].to.raw);
    assert_int_equal(bytes_get32(setup + 0x21c), sizeof(initrd));
    assert_int_equal(bytes_get16(setup + 0x224), 0xfe00);
    assert_int_equal(bytes_get32(setup + 0x228), 0x20000);
    bytes_put32(file + 0x22c, 0x3ffffff);
    expect_good();
    assert_int_equal(part[LOAD_INITRD].to.raw, align_down(64 * MIB - sizeof(initrd), PAGE_SIZE));
}

/* Protocol 2.01 has a heap, and its command line as the oldest; 2.00 has no heap. */
static void test_old(void **state)
{
    static const uint32_t written[] = {0x20, 0x210, 0x218, 0x21c, 0x224};

    bytes_put16(file + 0x206, 0x201);
    expect_good();
    expect_part(LOAD_SETUP, 0x90000, BZIMAGE_CODE, setup);
    expect_part(LOAD_KERNEL, 0x100000, BZIMAGE_SIZE - BZIMAGE_CODE, file + BZIMAGE_CODE);
    expect_part(LOAD_CMDLINE, 0x99ff0, 6, (const uint8_t *)input.cmdline);
    assert_int_equal(part[LOAD_INITRD].size, 0);
    expect_changed(written, ARRAY_SIZE(written));
    assert_int_equal(bytes_get16(setup + 0x20), 0xa33f);
    assert_int_equal(bytes_get16(setup + 0x22), 0x9ff0);
    assert_int_equal(bytes_get16(setup + 0x224), 0x9df0);
    bytes_put16(file + 0x206, 0x200);
    expect_good();
    expect_changed(written, ARRAY_SIZE(written) - 1);
}

/* Without the header: a zImage of Linux before 1.3.73. */
static void test_oldest(void **state)
{
    static const uint32_t written[] = {0x20};

    file[0x1f1] = 0;
    memset(file + 0x202, 0xcc, 0x40);
    expect_good();
    expect_part(LOAD_SETUP, 0x90000, 5ULL * 512, setup);
    expect_part(LOAD_KERNEL, 0x10000, BZIMAGE_SIZE - 5ULL * 512, file + 5ULL * 512);
    expect_changed(written, 1);
    input.image.size = 5 * 512 + 0x80001;
    expect_refused(STATUS_RANGE, "do not fit between 0x10000 and 0x90000");
}

static void test_refusals(void **state)
{
    file[0x1fe] = 0;
    expect_refused(STATUS_INVALID, "no 55h AAh at 1FEh");
    (void)file_create(NULL);
    input.image.size = 0x23b;
    expect_refused(STATUS_INVALID, "no 55h AAh at 1FEh");
    input.image.size = BZIMAGE_CODE;
    expect_refused(STATUS_INVALID, "its first 3 sectors are to be its setup");
    (void)file_create(NULL);
    file[0x1f1] = 65;
    input.image.size = FILE_SIZE_MAX;
    expect_refused(STATUS_INVALID, "its first 66 sectors");
    (void)file_create(NULL);
    input.cmdline = text;
    expect_refused(STATUS_RANGE, "4096 characters, this kernel takes 2047");
    bytes_put32(file + 0x238, UINT32_MAX);
    expect_refused(STATUS_RANGE, "4096 characters");
    bytes_put16(file + 0x206, 0x205);
    input.cmdline = text + LOAD_CMDLINE_MAX - 256;
    expect_refused(STATUS_RANGE, "256 characters, this kernel takes 255");
    input.cmdline++;
    expect_good();
}

/* What does not fit into a small VM's RAM, by one byte. */
static void test_room(void **state)
{
    uint64_t kernel = 0x100000 + BZIMAGE_SIZE - BZIMAGE_CODE, top = 2 * MIB - 0x28000;

    input.memory_below_4g = 2 * MIB;
    input.initrd = (struct load_file){
        .data = file, .size = top - align_up(kernel, PAGE_SIZE), .name = "initrd"};
    expect_good();
    assert_int_equal(part[LOAD_INITRD].to.raw, align_up(kernel, PAGE_SIZE));
    input.initrd.size++;
    expect_refused(STATUS_RANGE, "initrd: its");
    input.initrd.size = UINT64_MAX;
    expect_refused(STATUS_RANGE, "initrd: its");
    input.initrd.size = 0;
    input.image.size = BZIMAGE_CODE + top - 0x100000;
    expect_good();
    input.image.size++;
    expect_refused(STATUS_RANGE, "raise 'memory'");
}

static void test_debian(void **state)
{
    static const char *const names[] = {"ipxe.lkrn", "memdisk", "memtest86+ia32.bin"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char path[4096];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        FILE *stream = fopen(path, "rb");
        if (stream == NULL) {
            fail_msg("%s cannot be opened", path);
            return;
        }
        input.image.size = fread(file, 1, FILE_SIZE_MAX, stream);
        (void)fclose(stream);
        expect_good();
        assert_int_equal(part[LOAD_SETUP].size + part[LOAD_KERNEL].size, input.image.size);
        assert_int_equal(part[LOAD_KERNEL].to.raw, 0x100000);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_new, file_create),
        cmocka_unit_test_setup(test_old, file_create),
        cmocka_unit_test_setup(test_oldest, file_create),
        cmocka_unit_test_setup(test_refusals, file_create),
        cmocka_unit_test_setup(test_room, file_create),
        cmocka_unit_test_setup(test_debian, file_create),
    };

    folder = argc > 1 ? argv[1] : ".";
    file = calloc(1, FILE_SIZE_MAX);
    return file != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
