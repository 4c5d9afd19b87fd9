/* SPDX-License-Identifier: BSD-2-Clause */
/* The choice of modules, with files at addresses of 32 bits, as a boot loader has them. */
#include "boot/multiboot2/mb2_modules.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/multiboot2/build.h"
#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define AREA  (16 * PAGE_SIZE)
#define DIRTY 0x5a

static uint8_t *area; /* pages that lie below 4 GiB */
static struct information info;
static struct memory memory;
static struct modules modules;

static const char plain[] = "[vmm]\n";
static const char with_vm[] =
    "[vm one]\ncpus = 1\nmemory = 64M\nkernel = dir/kernel.bin\ninitrd = initrd.gz\n";

static int set_up(void **state)
{
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    assert_true(area != MAP_FAILED);
    memset(area, DIRTY, AREA);
    fake_log_clear();
    build_start();
    return 0;
}

static int tear_down(void **state)
{
    return munmap(area, AREA);
}

/* Add a module with TEXT in page PAGE of the area. */
static void add(unsigned page, const char *text, const char *string)
{
    uint32_t start = (uint32_t)(uintptr_t)area + page * (uint32_t)PAGE_SIZE;

    memcpy(area + page * PAGE_SIZE, text, strlen(text));
    build_module(start, start + (uint32_t)strlen(text), string);
}

static enum status match(void)
{
    const uint64_t map[][3] = {
        {(uintptr_t)area, AREA, 1}
    };
    size_t size;

    build_memory(map, 1);
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_int_equal(memory_init(&memory, &info), STATUS_OK);
    return modules_match(&info, &memory, &modules);
}

static void require_module(unsigned index, unsigned page, const char *text, const char *name)
{
    const struct handoff_module *module = &modules.modules[index];

    assert_int_equal(module->base, (uintptr_t)area + page * PAGE_SIZE);
    assert_int_equal(module->size, strlen(text));
    assert_string_equal((const char *)module->name, name);
    assert_memory_equal(area + page * PAGE_SIZE, text, strlen(text));
    for (size_t i = strlen(text); i < PAGE_SIZE; i++) {
        assert_int_equal(area[page * PAGE_SIZE + i], 0);
    }
    assert_int_equal(area[(page + 1) * PAGE_SIZE], DIRTY);
}

static void test_files_in_their_order(void **state)
{
    add(1, with_vm, "my.cfg");
    add(3, "never named", "other");
    add(5, "an initrd", "initrd.gz");
    add(7, "a kernel", "dir/kernel.bin and more");
    assert_int_equal(match(), STATUS_OK);
    assert_int_equal(modules.count, 3);
    require_module(0, 1, with_vm, "my.cfg");
    require_module(1, 7, "a kernel", "dir/kernel.bin");
    require_module(2, 5, "an initrd", "initrd.gz");
    assert_int_equal(regions_total(memory.regions, memory.region_count, HANDOFF_MEMORY_LOADER),
                     3 * PAGE_SIZE);
    assert_int_equal(area[3 * PAGE_SIZE + 100], DIRTY);
}

static void test_no_modules(void **state)
{
    assert_int_equal(match(), STATUS_NOT_FOUND);
    assert_true(fake_log_contains("gave no modules"));
}

static void test_config_without_a_name(void **state)
{
    add(0, plain, "");
    assert_int_equal(match(), STATUS_OK);
    require_module(0, 0, plain, "portolan.cfg");
}

static void test_config_by_command_line(void **state)
{
    build_tag(1, "two.cfg", 8);
    add(0, with_vm, "one.cfg");
    add(2, plain, "two.cfg");
    assert_int_equal(match(), STATUS_OK);
    assert_int_equal(modules.count, 1);
    require_module(0, 2, plain, "two.cfg");
}

static void test_config_that_is_not_there(void **state)
{
    build_tag(1, "two.cfg", 8);
    add(0, plain, "one.cfg");
    assert_int_equal(match(), STATUS_NOT_FOUND);
    assert_true(fake_log_contains("'two.cfg'"));
}

static void test_command_line_too_long(void **state)
{
    char line[300];

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    build_tag(1, line, sizeof(line));
    add(0, plain, "one.cfg");
    assert_int_equal(match(), STATUS_OK);
    assert_true(fake_log_contains("too long"));
    require_module(0, 0, plain, "one.cfg");
}

static void test_missing_file(void **state)
{
    add(0, with_vm, "my.cfg");
    add(2, "an initrd", "initrd.gz");
    assert_int_equal(match(), STATUS_NOT_FOUND);
    assert_true(fake_log_contains("my.cfg:4: error: the file 'dir/kernel.bin' is not among"));
}

static void test_empty_file(void **state)
{
    add(0, with_vm, "my.cfg");
    add(2, "", "dir/kernel.bin");
    add(4, "an initrd", "initrd.gz");
    assert_int_equal(match(), STATUS_INVALID);
    assert_true(fake_log_contains("my.cfg:4: error: the file 'dir/kernel.bin' is empty"));
}

static void test_empty_config(void **state)
{
    add(0, "", "my.cfg");
    assert_int_equal(match(), STATUS_OK);
    assert_int_equal(modules.modules[0].base, 0);
    assert_int_equal(modules.modules[0].size, 0);
}

static void test_bad_config(void **state)
{
    add(0, "[vmm]\nnonsense = 1\n", "my.cfg");
    assert_int_equal(match(), STATUS_INVALID);
    assert_true(fake_log_contains("my.cfg:2: error"));
}

static void test_modules_that_share_memory(void **state)
{
    add(0, with_vm, "my.cfg");
    add(2, "an initrd", "initrd.gz");
    add(2, "a kernel", "dir/kernel.bin");
    assert_int_equal(match(), STATUS_CONFLICT);
    assert_true(fake_log_contains("does not lie in free memory alone"));
}

static void test_modules_not_aligned(void **state)
{
    uint32_t start = (uint32_t)(uintptr_t)area + 8;

    build_module(start, start + 4, "my.cfg");
    assert_int_equal(match(), STATUS_CONFLICT);
    assert_true(fake_log_contains("page boundary"));
    assert_int_equal(area[PAGE_SIZE - 1], DIRTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_in_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_modules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config_without_a_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config_by_command_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config_that_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_command_line_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modules_that_share_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modules_not_aligned, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
