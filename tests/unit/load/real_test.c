/* SPDX-License-Identifier: BSD-2-Clause */
/* Images that others made: 'real_test GUEST.elf VMLINUZ'. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/load/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FILE_SIZE_MAX (64UL << 20)

static const char *guest_name;
static const char *kernel_name;
static uint8_t *file;
static size_t file_size;
static struct load_plan plan;

static void file_read(const char *name)
{
    FILE *stream = fopen(name, "rb");

    if (stream == NULL) {
        fail_msg("%s cannot be opened", name);
        return;
    }
    file_size = fread(file, 1, FILE_SIZE_MAX, stream);
    (void)fclose(stream);
    assert_in_range(file_size, 1024, FILE_SIZE_MAX - 1);
}

static void plan_print(const char *name)
{
    print_message("%s: %s", name, fake_log_text());
    for (unsigned i = 0; i < plan.piece_count; i++) {
        print_message("    %#10lx %#10lx + %#lx zero: %s\n", plan.piece[i].to.raw,
                      plan.piece[i].size, plan.piece[i].zero, plan.piece[i].what);
    }
}

/* Debian's kernel. */
static void test_kernel(void **state)
{
    static const uint8_t initrd[12345];

    file_read(kernel_name);
    struct load_input input = input_make(LOAD_LINUX, file, file_size, kernel_name);
    input.memory_below_4g = 512 * MIB;
    input.initrd = (struct load_file){initrd, sizeof(initrd), "initrd", NULL};
    input.cmdline = "console=ttyS0";
    fake_log_clear();
    enum status status = load_plan_build(&input, &plan);
    plan_print(kernel_name);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_LONG64);
    assert_memory_equal(plan_at(&plan, plan.entry.rsi) + 0x202, "HdrS", 4);
    input.memory_below_4g = 16 * MIB;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_RANGE);
}

/* Our own test guest, which needs a little more than 2 MiB. */
static void test_guest(void **state)
{
    file_read(guest_name);
    struct load_input input = input_make(LOAD_MULTIBOOT, file, file_size, guest_name);
    fake_log_clear();
    input.memory_below_4g = 4 * MIB;
    enum status status = load_plan_build(&input, &plan);
    plan_print(guest_name);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(plan.entry.mode, LOAD_ENTRY_PROTECTED32);
    assert_int_equal(plan_at(&plan, plan.entry.rip)[0], 0xfa); /* start.S begins with 'cli' */
    input.memory_below_4g = 2 * MIB;
    assert_int_equal(load_plan_build(&input, &plan), STATUS_RANGE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_guest),
    };

    file = malloc(FILE_SIZE_MAX);
    if (argc != 3 || file == NULL) {
        (void)fprintf(stderr, "real_test GUEST.elf VMLINUZ\n");
        return 2;
    }
    guest_name = argv[1];
    kernel_name = argv[2];
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(file);
    return failed;
}
