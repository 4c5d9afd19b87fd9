/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory behind a VM's flash: read from its file, shown by the nested tables while it is read
 * as memory, kept. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/nested_bits.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SIZE     0x20000U
#define ROM_SIZE 0x1e0000U
#define BASE     0xffe00000ULL

static struct vm vm;
static struct config_vm config;
static uint8_t memory[SIZE] __attribute__((aligned(4096)));
static uint8_t file[SIZE];
static uint64_t file_size;
static unsigned taken, flushes;

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    assert_int_equal(size, SIZE);
    taken++;
    *base = hpa((uint64_t)memory - DIRECT_BASE);
    return STATUS_OK;
}

enum status frame_free(hpa_t base, uint64_t size)
{
    assert_int_equal(size, SIZE);
    taken--;
    return STATUS_OK;
}

enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    assert_int_equal(va, memory);
    return STATUS_OK;
}

void paging_unmap(uint64_t va, uint64_t size) {}

void vm_flush(struct vm *flushed)
{
    flushes++;
}

enum status vm_edge_find_file(const char *name, struct load_file *found)
{
    *found = (struct load_file){
        .name = name, .data = file, .size = strcmp(name, "vars") == 0 ? file_size : ROM_SIZE};
    return found->size == 0 ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status load_nvram_check(const struct load_file *checked, const struct load_file *firmware)
{
    assert_string_equal(firmware->name, "code");
    return checked->size == SIZE ? STATUS_OK : STATUS_RANGE;
}

static int setup(void **state)
{
    config = (struct config_vm){.name = "new", .firmware.text = "code", .nvram.text = "vars"};
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    vm.rom_size = ROM_SIZE;
    vm.nested = (struct radix){
        .format = &nested_bits, .page_sizes = PAGE_SIZE | PAGE_SIZE_2M, .levels = VM_NESTED_LEVELS};
    fake_pages_reset(16);
    assert_int_equal(radix_init(&vm.nested), STATUS_OK);
    memset(memory, 0xa5, SIZE);
    for (unsigned i = 0; i < SIZE; i++) {
        file[i] = (uint8_t)(i * 3 + i / 4096);
    }
    file_size = SIZE;
    taken = flushes = 0;
    return 0;
}

static int teardown(void **state)
{
    nvram_destroy(&vm);
    assert_int_equal(taken, 0);
    radix_destroy(&vm.nested);
    return 0;
}

static void settle(enum flash_mode mode)
{
    vm.pc.flash.state.mode = (uint8_t)mode;
    nvram_settle(&vm);
}

static bool is_mapped(void)
{
    struct radix_page page;

    for (uint64_t at = 0; at < SIZE; at += PAGE_SIZE) {
        if (radix_lookup(&vm.nested, BASE + at, &page) != STATUS_OK) {
            assert_false(radix_maps_any(&vm.nested, BASE, SIZE));
            return false;
        }
        assert_int_equal(page.address.raw + DIRECT_BASE, (uint64_t)memory + at);
        assert_int_equal(page.rights & (RADIX_READ | RADIX_WRITE), RADIX_READ);
    }
    return true;
}

static void test_follows_the_mode(void **state)
{
    assert_int_equal(nvram_create(&vm), STATUS_OK);
    assert_memory_equal(memory, file, SIZE);
    assert_false(is_mapped());
    settle(FLASH_ARRAY);
    assert_true(is_mapped());
    assert_int_equal(flushes, 0);
    settle(FLASH_STATUS);
    assert_false(is_mapped());
    settle(FLASH_QUERY);
    assert_int_equal(flushes, 1);
    fake_pages_limit(0); /* its tables are there already */
    settle(FLASH_ARRAY);
    assert_true(is_mapped());
    settle(FLASH_ARRAY);
    assert_int_equal(flushes, 1);
    assert_false(radix_maps_any(&vm.nested, BASE - SIZE, SIZE) ||
                 radix_maps_any(&vm.nested, BASE + SIZE, SIZE));
}

static void test_without_memory(void **state)
{
    assert_int_equal(nvram_create(&vm), STATUS_OK);
    fake_pages_limit(0);
    settle(FLASH_ARRAY);
    assert_false(vm.nvram_mapped);
    fake_pages_limit(16);
    settle(FLASH_ARRAY); /* the next time */
    assert_true(is_mapped());
}

/* A start keeps what was written; who waits for a state begins with the file's. */
static void test_starts(void **state)
{
    struct pc_config pc = {0};

    assert_int_equal(nvram_create(&vm), STATUS_OK);
    memory[7] ^= 0xff;
    assert_int_equal(nvram_begin(&vm, &pc), STATUS_OK);
    assert_ptr_equal(pc.flash, memory);
    assert_int_equal(pc.flash_size, SIZE);
    assert_int_equal(pc.flash_at, BASE);
    assert_int_equal(memory[7], file[7] ^ 0xff);
    vm.awaits = true;
    assert_int_equal(nvram_begin(&vm, &pc), STATUS_OK);
    assert_memory_equal(memory, file, SIZE);
}

static void test_refused(void **state)
{
    file_size = SIZE - 1;
    assert_int_equal(nvram_create(&vm), STATUS_RANGE);
    file_size = 0;
    assert_int_equal(nvram_create(&vm), STATUS_NOT_FOUND);
    assert_int_equal(taken + vm.nvram_size, 0);
}

static void test_without(void **state)
{
    struct pc_config pc = {0};

    config.nvram.text[0] = '\0';
    assert_int_equal(nvram_create(&vm), STATUS_OK);
    assert_int_equal(nvram_begin(&vm, &pc), STATUS_OK);
    settle(FLASH_ARRAY);
    settle(FLASH_STATUS);
    assert_null(pc.flash);
    assert_int_equal(pc.flash_size + taken + flushes, 0);
    assert_false(radix_maps_any(&vm.nested, 0xff800000, 8U << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follows_the_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
