/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/page_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GIB       (1ULL << 30)
#define TIB       (1ULL << 40)
#define POOL_MAX  8192UL
#define POOL_BASE 0x123456000ULL
#define UNMAPPED  UINT64_MAX
#define CORE_BASE 0x7654000ULL

static uint64_t *pool;
static struct boot_tables tables;

static int pool_create(void **state)
{
    pool = aligned_alloc(PAGE_SIZE, POOL_MAX * PAGE_SIZE);
    return pool == NULL;
}

static int pool_delete(void **state)
{
    free(pool);
    return 0;
}

/* What the CPU would make of VA. */
static uint64_t translate(uint64_t va)
{
    const uint64_t *table = pool;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = table[(va >> shift) % 512];
        if ((entry & 1) == 0) {
            return UNMAPPED;
        }
        assert_int_equal(entry & 0xffe, shift > 12 && (entry & 0x80) != 0 ? 0x82 : 0x02);
        if (shift == 12 || (entry & 0x80) != 0) {
            uint64_t offset = va & ((1ULL << shift) - 1);
            assert_int_equal(entry & ((1ULL << shift) - 1) & ~0xfffULL, 0);
            return (entry & ~0xfffULL) + offset;
        }
        table = pool + ((entry & ~0xfffULL) - POOL_BASE) / sizeof(uint64_t);
    }
}

/* Build in exactly as many pages as are said to be needed; with one page less it must fail. */
static void build(const struct handoff_region *regions, size_t count, bool has_1g,
                  uint64_t core_size)
{
    size_t pages = boot_tables_page_count(regions, count, has_1g, core_size);

    assert_true(pages <= POOL_MAX);
    tables = (struct boot_tables){pool, hpa(POOL_BASE), pages - 1, has_1g, 0};
    assert_int_equal(boot_tables_build(&tables, regions, count, hpa(CORE_BASE), core_size),
                     STATUS_NO_MEMORY);
    tables.page_count = pages;
    assert_int_equal(boot_tables_build(&tables, regions, count, hpa(CORE_BASE), core_size),
                     STATUS_OK);
    assert_int_equal(tables.used, pages);
}

static void check_region(const struct handoff_region *region)
{
    uint64_t step = region->size / 64 < PAGE_SIZE ? PAGE_SIZE : region->size / 64 + 0x1001;

    for (uint64_t at = region->base; at < region->base + region->size; at += step) {
        assert_int_equal(translate(at), at);
    }
    uint64_t last = region->base + region->size - 1;
    assert_int_equal(translate(last), last);
}

static const struct handoff_region large_machine[] = {
    {0x0,                0x9f000,     HANDOFF_MEMORY_USABLE,   0},
    {0xa0000,            0x60000,     HANDOFF_MEMORY_RESERVED, 0},
    {0x100000,           0x7ed00000,  HANDOFF_MEMORY_USABLE,   0},
    {0x7ee00000,         0x100000,    HANDOFF_MEMORY_ACPI,     0},
    {0x7ef00000,         0x100000,    HANDOFF_MEMORY_NVS,      0},
    {0x7f000000,         0x1000000,   HANDOFF_MEMORY_LOADER,   0},
    {0xe0000000,         0x10000000,  HANDOFF_MEMORY_MMIO,     0},
    {4 * GIB,            700 * GIB,   HANDOFF_MEMORY_USABLE,   0},
    {704 * GIB,          0x1000,      HANDOFF_MEMORY_BAD,      0},
    {704 * GIB + 0x1000, 5 * GIB,     HANDOFF_MEMORY_USABLE,   0},
    {0xfd00000000,       0x300000000, HANDOFF_MEMORY_RESERVED, 0},
    {TIB,                3 * GIB,     HANDOFF_MEMORY_USABLE,   0},
};

static void test_large_machine(void **state)
{
    for (int has_1g = 0; has_1g <= 1; has_1g++) {
        build(large_machine, ARRAY_SIZE(large_machine), has_1g != 0, 0x123000);
        for (size_t i = 0; i < ARRAY_SIZE(large_machine); i++) {
            if (handoff_is_ram(large_machine[i].type)) {
                check_region(&large_machine[i]);
            }
        }
        assert_int_equal(translate(0xe0000000), UNMAPPED);
        assert_int_equal(translate(0xfd00000000), UNMAPPED);
        assert_int_equal(translate(2 * GIB + 0x200000), UNMAPPED);
        assert_int_equal(translate(TIB + 3 * GIB), UNMAPPED);
    }
    assert_true(tables.used < 40); /* with 1 GiB pages */
}

static void test_core(void **state)
{
    const struct handoff_region ram = {0, 0x40000000, HANDOFF_MEMORY_USABLE, 0};
    uint64_t size = 0x401000;

    build(&ram, 1, false, size);
    for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
        assert_int_equal(translate(HANDOFF_CORE_VA + at + 5), CORE_BASE + at + 5);
    }
    assert_int_equal(translate(HANDOFF_CORE_VA + size), UNMAPPED);
    assert_int_equal(translate(HANDOFF_CORE_VA - 1), UNMAPPED);
}

static void test_1g_pages_never_reach_out_of_a_region(void **state)
{
    const struct handoff_region regions[] = {
        {0,                GIB + 0x1000,   HANDOFF_MEMORY_USABLE, 0},
        {GIB + 0x1000,     0x1ff000,       HANDOFF_MEMORY_LOADER, 0},
        {GIB + 0x200000,   GIB - 0x400000, HANDOFF_MEMORY_USABLE, 0},
        {3 * GIB - 0x1000, GIB + 0x1000,   HANDOFF_MEMORY_USABLE, 0},
    };

    build(regions, ARRAY_SIZE(regions), true, PAGE_SIZE);
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
        check_region(&regions[i]);
    }
    assert_int_equal(translate(2 * GIB - 0x200000), UNMAPPED);
    assert_int_equal(translate(3 * GIB - 0x200001), UNMAPPED);
    assert_int_equal(translate(4 * GIB), UNMAPPED);
}

static void test_memory_without_an_identity_address_is_left_out(void **state)
{
    const struct handoff_region regions[] = {
        {0,                           0x200000, HANDOFF_MEMORY_USABLE, 0},
        {BOOT_TABLES_LIMIT - GIB,     2 * GIB,  HANDOFF_MEMORY_USABLE, 0},
        {BOOT_TABLES_LIMIT + 2 * GIB, GIB,      HANDOFF_MEMORY_USABLE, 0},
    };

    build(regions, ARRAY_SIZE(regions), false, PAGE_SIZE);
    assert_int_equal(translate(BOOT_TABLES_LIMIT - 1), BOOT_TABLES_LIMIT - 1);
    assert_int_equal(translate(BOOT_TABLES_LIMIT), UNMAPPED);
}

/* Random maps: the count is exact, all RAM is mapped. */
static void test_random_maps(void **state)
{
    static const uint64_t units[] = {PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_1G, PAGE_SIZE_2M + 0x3000};
    struct handoff_region regions[24];
    unsigned seed = 11;

    for (int round = 0; round < 300; round++) {
        uint64_t at = 0;
        for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
            at += units[rand_r(&seed) % 4] * (uint64_t)(rand_r(&seed) % 4);
            uint64_t size = units[rand_r(&seed) % 4] * (1 + (uint64_t)(rand_r(&seed) % 5));
            uint32_t type = 1 + (uint32_t)rand_r(&seed) % HANDOFF_MEMORY_MMIO;
            regions[i] = (struct handoff_region){at, size, type, 0};
            at += size;
        }
        build(regions, ARRAY_SIZE(regions), round % 2 == 0, PAGE_SIZE_2M);
        for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
            if (handoff_is_ram(regions[i].type)) {
                check_region(&regions[i]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_machine),
        cmocka_unit_test(test_core),
        cmocka_unit_test(test_1g_pages_never_reach_out_of_a_region),
        cmocka_unit_test(test_memory_without_an_identity_address_is_left_out),
        cmocka_unit_test(test_random_maps),
    };

    return cmocka_run_group_tests(tests, pool_create, pool_delete);
}
