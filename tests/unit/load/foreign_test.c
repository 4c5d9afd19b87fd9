/* SPDX-License-Identifier: BSD-2-Clause */
/* What is given as a kernel and is none: 'foreign_test FOLDER', with files of Debian's in it. */
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
static struct load_plan plan;

static void refuse(enum load_kind kind, uint64_t size, enum status status, const char *words)
{
    struct load_input input = input_make(kind, file, size, "file");

    refusal_expect(&input, &plan, status, words);
}

static int file_clear(void **state)
{
    memset(file, 0, FILE_SIZE_MAX);
    return 0;
}

/* Each form by its magic numbers: as 'kernel', as 'multiboot', and cut off inside of them. */
static void test_forms(void **state)
{
    static const struct {
        uint32_t offset;
        uint32_t length;
        const char *bytes;
        const char *words;
    } forms[] = {
        {0,      3, "\x1f\x8b\x08",     "compressed with gzip, which cannot be loaded: unpack it"},
        {0,      6, "\xfd\x37zXZ",      "compressed with xz"                                     },
        {0,      4, "\x28\xb5\x2f\xfd", "compressed with zstd"                                   },
        {0,      2, "MZ",               "an EFI or DOS program"                                  },
        {0x8001, 5, "CD001",            "a CD image, which cannot be loaded: put it behind a"    },
        {510,    2, "\x55\xaa",         "a boot sector or disk image"                            },
        {0x7ff8, 4, "\xd6\x50\x52\xe8", "a Multiboot 2 image, of which only version 1"           },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        uint32_t end = forms[i].offset + forms[i].length;

        (void)file_clear(NULL);
        memcpy(file + forms[i].offset, forms[i].bytes, forms[i].length);
        refuse(LOAD_LINUX, 0x9000, STATUS_INVALID, forms[i].words);
        refuse(LOAD_MULTIBOOT, 0x9000, STATUS_INVALID, forms[i].words);
        refuse(LOAD_MULTIBOOT, end, STATUS_INVALID, forms[i].words);
        refuse(LOAD_MULTIBOOT, end - 1, STATUS_INVALID, "no Multiboot header");
        refuse(LOAD_LINUX, end - 1, STATUS_INVALID, "not a Linux bzImage");
    }
}

/* One of ours under the wrong key. */
static void test_wrong_key(void **state)
{
    bzimage_make(file);
    refuse(LOAD_MULTIBOOT, BZIMAGE_SIZE, STATUS_INVALID,
           "a Linux bzImage, which cannot be loaded: "
           "give it as 'kernel'");
    (void)file_clear(NULL);
    multiboot32_make((struct multiboot32 *)(void *)file);
    refuse(LOAD_LINUX, 0x1000, STATUS_INVALID, "for a Multiboot image use 'multiboot'");
}

/* What has Linux's header and is no Linux; a name may end with the file, or lie behind it. */
static void test_bios_programs(void **state)
{
    bzimage_make(file);
    bytes_put32(file + 0x214, 0);
    refuse(LOAD_LINUX, BZIMAGE_SIZE, STATUS_UNSUPPORTED,
           "no Linux, but a 16-bit program in its format ('6.1.0-test (a@b) #1')");
    bzimage_make(file);
    bytes_put16(file + 0x206, 0x203);
    bytes_put16(file + 0x20e, 0);
    refuse(LOAD_LINUX, BZIMAGE_SIZE, STATUS_UNSUPPORTED, "('')");
    bytes_put16(file + 0x20e, UINT16_MAX);
    refuse(LOAD_LINUX, BZIMAGE_SIZE, STATUS_UNSUPPORTED, "('')");
    bytes_put16(file + 0x20e, BZIMAGE_SIZE - 4 - 0x200);
    memcpy(file + BZIMAGE_SIZE - 4, "ABCD", 4);
    refuse(LOAD_LINUX, BZIMAGE_SIZE, STATUS_UNSUPPORTED, "('ABCD')");
    bytes_put16(file + 0x20e, 0x400);
    memset(file + 0x600, 'x', 100);
    refuse(LOAD_LINUX, BZIMAGE_SIZE, STATUS_UNSUPPORTED, "('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')");
}

static uint64_t file_read(const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        fail_msg("%s cannot be opened", path);
        return 0;
    }
    uint64_t size = fread(file, 1, FILE_SIZE_MAX, stream);
    (void)fclose(stream);
    assert_in_range(size, 1024, FILE_SIZE_MAX - 1);
    return size;
}

static void test_debian(void **state)
{
    refuse(LOAD_LINUX, file_read("ipxe.lkrn"), STATUS_UNSUPPORTED,
           "no Linux, but a 16-bit program in its format ('1.0.0+git-20190125.36a4c85-5.1')");
    refuse(LOAD_LINUX, file_read("memdisk"), STATUS_UNSUPPORTED, "('MEMDISK 6.04 20200816')");
    refuse(LOAD_MULTIBOOT, file_read("xen.gz"), STATUS_INVALID, "compressed with gzip");
    struct load_input input = input_make(LOAD_MULTIBOOT, file, file_read("xen"), "xen");
    fake_log_clear();
    if (load_plan_build(&input, &plan) != STATUS_OK) {
        fail_msg("refused: %s", fake_log_text());
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, file_clear),
        cmocka_unit_test_setup(test_wrong_key, file_clear),
        cmocka_unit_test_setup(test_bios_programs, file_clear),
        cmocka_unit_test_setup(test_debian, file_clear),
    };

    file = malloc(FILE_SIZE_MAX);
    if (argc != 2 || file == NULL) {
        (void)fprintf(stderr, "foreign_test FOLDER\n");
        return 2;
    }
    folder = argv[1];
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(file);
    return failed;
}
