/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/log.h"
#include "tests/unit/mem/fake_pool.h"
#include "vmm/host/address_space.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/paging.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define VA 0xffff800000400000ULL

static int setup(void **state)
{
    fake_pool_reset(200);
    fake_log_clear();
    return paging_init();
}

/* Count the entries that map something, by walking all tables as the CPU does. */
static unsigned count_leaves(const uint64_t *table, unsigned level)
{
    unsigned leaves = 0;

    for (unsigned i = 0; i < 512; i++) {
        if (!(table[i] & 1)) {
            continue;
        }
        bool leaf = level == 0 || (table[i] & 0x80);

        leaves +=
            leaf ? 1 : count_leaves(pool_pointer(hpa(table[i] & 0x000ffffffffff000ULL)), level - 1);
    }
    return leaves;
}

static unsigned leaves(void)
{
    return count_leaves(pool_pointer(paging_root()), 3);
}

/* What VA is mapped to, by the same walk; 0 if nothing is there. */
static uint64_t entry_of(uint64_t va, uint64_t *size)
{
    const uint64_t *table = pool_pointer(paging_root());
    uint64_t entry = 0;

    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        entry = table[va >> shift & 511];
        *size = 1ULL << shift;
        if (!(entry & 1) || shift == 12 || (entry & 0x80)) {
            break;
        }
        table = pool_pointer(hpa(entry & 0x000ffffffffff000ULL));
    }
    return entry & 1 ? entry : 0;
}

static void expect_mapped(uint64_t va, uint64_t address, unsigned rights)
{
    static const unsigned kinds[] = {0, PAGING_COMBINING, 0, PAGING_UNCACHED};
    uint64_t size, entry = entry_of(va, &size);

    assert_true(entry & 1);
    assert_int_equal((entry & 0x000ffffffffff000ULL & ~(size - 1)) + va % size, address);
    assert_int_equal((entry & 2 ? PAGING_WRITE : 0U) | (entry >> 63 ? 0U : PAGING_EXECUTE) |
                         kinds[entry >> 3 & 3],
                     rights);
}

static void expect_unmapped(uint64_t va)
{
    uint64_t size;

    assert_int_equal(entry_of(va, &size), 0);
}

static void test_small_pages(void **state)
{
    assert_int_equal(paging_map(VA + 0x1000, hpa(0x5000), 0x3000, PAGING_WRITE), STATUS_OK);
    assert_int_equal(leaves(), 3);
    expect_unmapped(VA);
    expect_mapped(VA + 0x1000, 0x5000, PAGING_WRITE);
    expect_mapped(VA + 0x3fff, 0x7fff, PAGING_WRITE);
    expect_unmapped(VA + 0x4000);
}

static void test_largest_pages(void **state)
{
    /* From one page before a 2 MiB boundary to one behind the next: 1 + 1 large + 1. */
    assert_int_equal(paging_map(VA - 0x1000, hpa(0x1ff000), PAGE_SIZE_2M + 0x2000, PAGING_READ),
                     STATUS_OK);
    assert_int_equal(leaves(), 3);
    expect_mapped(VA - 1, 0x1fffff, PAGING_READ);
    expect_mapped(VA + 0x12345, 0x212345, PAGING_READ);
    expect_mapped(VA + PAGE_SIZE_2M, 0x400000, PAGING_READ);
    /* The same length, but the addresses differ modulo 2 MiB: small pages only. */
    assert_int_equal(paging_map(VA + (1UL << 30), hpa(0x1000), PAGE_SIZE_2M, PAGING_READ),
                     STATUS_OK);
    assert_int_equal(leaves(), 3 + 512);
}

static void test_write_xor_execute(void **state)
{
    assert_int_equal(paging_map(VA, hpa(0), PAGE_SIZE, PAGING_WRITE | PAGING_EXECUTE),
                     STATUS_INVALID);
    assert_int_equal(leaves(), 0);
    assert_int_equal(paging_map(VA, hpa(0), PAGE_SIZE, PAGING_EXECUTE), STATUS_OK);
    expect_mapped(VA, 0, PAGING_EXECUTE);
}

static void test_alignment_is_required(void **state)
{
    assert_int_equal(paging_map(VA + 1, hpa(0), PAGE_SIZE, 0), STATUS_INVALID);
    assert_int_equal(paging_map(VA, hpa(8), PAGE_SIZE, 0), STATUS_INVALID);
    assert_int_equal(paging_map(VA, hpa(0), 100, 0), STATUS_INVALID);
    assert_int_equal(leaves(), 0);
}

static void test_conflicts(void **state)
{
    assert_int_equal(paging_map(VA, hpa(0), PAGE_SIZE, 0), STATUS_OK);
    assert_int_equal(paging_map(VA, hpa(0x1000), PAGE_SIZE, 0), STATUS_CONFLICT);
    expect_mapped(VA, 0, 0);
    uint64_t large = VA + 8 * PAGE_SIZE_2M;

    assert_int_equal(paging_map(large, hpa(0), PAGE_SIZE_2M, 0), STATUS_OK);
    assert_int_equal(paging_map(large + 0x5000, hpa(0), PAGE_SIZE, 0), STATUS_CONFLICT);
}

static void test_memory_types(void **state)
{
    static const unsigned kinds[] = {PAGING_WRITE, PAGING_WRITE | PAGING_UNCACHED,
                                     PAGING_WRITE | PAGING_COMBINING, PAGING_READ};

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        assert_int_equal(paging_map(VA + i * PAGE_SIZE, hpa(i * PAGE_SIZE), PAGE_SIZE, kinds[i]),
                         STATUS_OK);
        expect_mapped(VA + i * PAGE_SIZE, i * PAGE_SIZE, kinds[i]);
    }
}

static void test_unmap(void **state)
{
    assert_int_equal(paging_map(VA, hpa(0), PAGE_SIZE_2M + 2 * PAGE_SIZE, PAGING_WRITE), STATUS_OK);
    assert_int_equal(leaves(), 3);
    paging_unmap(VA, PAGE_SIZE_2M);
    assert_int_equal(fake_flush_count(), 1);
    assert_int_equal(leaves(), 2);
    expect_unmapped(VA + 0x1000);
    paging_unmap(VA, PAGE_SIZE_2M + 2 * PAGE_SIZE); /* what is not mapped does not matter */
    assert_int_equal(leaves(), 0);
    assert_int_equal(paging_map(VA, hpa(0x9000), PAGE_SIZE, 0), STATUS_OK);
}

static void test_out_of_tables(void **state)
{
    fake_pool_reset(3);
    assert_int_equal(paging_init(), STATUS_OK);
    assert_int_equal(paging_map(VA, hpa(0), PAGE_SIZE, 0), STATUS_NO_MEMORY);
    assert_int_equal(leaves(), 0);
    fake_pool_reset(0);
    assert_int_equal(paging_init(), STATUS_NO_MEMORY);
}

static void test_windows(void **state)
{
    window_set_physical_bits(40);
    uint8_t *first = map_physical(hpa(0xfee00ff0), 0x20, MAP_DEVICE);

    assert_non_null(first);
    assert_int_equal((uint64_t)first % PAGE_SIZE, 0xff0);
    expect_mapped((uint64_t)first, 0xfee00ff0, PAGING_WRITE | PAGING_UNCACHED);
    expect_mapped((uint64_t)first + 0x1f, 0xfee0100f, PAGING_WRITE | PAGING_UNCACHED);
    uint8_t *second = map_physical(hpa(0x1000), 8, MAP_READ_ONLY);

    expect_mapped((uint64_t)second, 0x1000, PAGING_READ);
    map_release(first, 0x20);
    expect_unmapped((uint64_t)first);
    expect_unmapped((uint64_t)first + 0x10);
    expect_mapped((uint64_t)second, 0x1000, PAGING_READ);
    uint8_t *third = map_physical(hpa(0x2000), 8, MAP_READ_WRITE);

    assert_true(third > second); /* addresses are not used again */
    expect_mapped((uint64_t)third, 0x2000, PAGING_WRITE);
}

static void test_large_window(void **state)
{
    unsigned before = leaves();

    assert_non_null(map_physical(hpa(0xb0000000), 256UL << 20, MAP_DEVICE));
    assert_int_equal(leaves() - before, 128); /* 2 MiB pages throughout */
}

static void test_impossible_windows(void **state)
{
    window_set_physical_bits(40);
    assert_null(map_physical(hpa(0x1000), 0, MAP_READ_ONLY));
    assert_null(map_physical(hpa(1ULL << 40), 1, MAP_READ_ONLY));
    assert_null(map_physical(hpa((1ULL << 40) - 1), 2, MAP_READ_ONLY));
    assert_null(map_physical(hpa(UINT64_MAX - 1), 8, MAP_READ_ONLY));
    assert_true(fake_log_contains("beyond what this CPU can address"));
    assert_null(map_physical(hpa(0), WINDOW_SIZE + 1, MAP_READ_ONLY));
    assert_true(fake_log_contains("address space used up"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_small_pages, setup),
        cmocka_unit_test_setup(test_largest_pages, setup),
        cmocka_unit_test_setup(test_write_xor_execute, setup),
        cmocka_unit_test_setup(test_alignment_is_required, setup),
        cmocka_unit_test_setup(test_conflicts, setup),
        cmocka_unit_test_setup(test_memory_types, setup),
        cmocka_unit_test_setup(test_unmap, setup),
        cmocka_unit_test_setup(test_out_of_tables, setup),
        cmocka_unit_test_setup(test_windows, setup),
        cmocka_unit_test_setup(test_large_window, setup),
        cmocka_unit_test_setup(test_impossible_windows, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
