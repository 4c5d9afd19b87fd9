/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mapped and unmapped in radix tables of all formats, to the bits and to the ends. */
#include "tests/unit/mem/radix_tree.h"

#include "tests/unit/fakes/pages.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define K4     PAGE_SIZE
#define M2     PAGE_SIZE_2M
#define G1     PAGE_SIZE_1G
#define TABLES 0x000ffffffffff000ULL

/* The entry of AT at LEVEL, as the CPU's walk finds it. */
static uint64_t entry_of(uint64_t at, unsigned level)
{
    const uint64_t *table = pool_pointer(tree.root);

    for (unsigned i = 3; i > level; i--) {
        table = pool_pointer(hpa(table[at >> (12 + 9 * i) & 511] & TABLES));
    }
    return table[at >> (12 + 9 * level) & 511];
}

/* The very bits that each vendor's manual wants. */
static void test_bits(void **state)
{
    tree_begin(TREE_NPT, true);
    tree_map(0, 0x5000, K4, TREE_RWX);
    tree_map(M2, 8 * M2, M2, RADIX_READ);
    tree_map(G1, 3 * G1, G1, RADIX_READ | RADIX_WRITE | RADIX_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 2) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 0), 0x5067);
    assert_int_equal(entry_of(M2, 1), 1ULL << 63 | 8 * M2 | 0xe5);
    assert_int_equal(entry_of(G1, 2), 1ULL << 63 | 3 * G1 | 0xff);
    tree_end();
    tree_begin(TREE_EPT, true);
    tree_map(0, 0x5000, K4, TREE_RWX);
    tree_map(M2, 8 * M2, M2, RADIX_READ);
    tree_map(G1, 3 * G1, G1, RADIX_READ | RADIX_WRITE | RADIX_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 7);
    assert_int_equal(entry_of(0, 0), 0x5337);
    assert_int_equal(entry_of(M2, 1), 8 * M2 | 0x3b1);
    assert_int_equal(entry_of(G1, 2), 3 * G1 | 0x383);
    tree_end();
    tree_begin(TREE_OWN, true);
    tree_map(0, 0x5000, K4, RADIX_WRITE);
    tree_map(K4, 0x6000, K4, RADIX_WRITE | RADIX_COMBINING);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3);
    assert_int_equal(entry_of(0, 0), 1ULL << 63 | 0x5003);
    assert_int_equal(entry_of(K4, 0), 1ULL << 63 | 0x600b);
    tree_end();
    tree_begin(TREE_VTD, true);
    tree.extra_leaf = 1ULL << 11; /* SNP */
    tree_map(0, 0x5000, K4, RADIX_READ);
    tree_map(M2, 8 * M2, M2, RADIX_READ | RADIX_WRITE);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3);
    assert_int_equal(entry_of(0, 0), 0x5801);
    assert_int_equal(entry_of(M2, 1), 8 * M2 | 0x883);
    tree_end();
    tree_begin(TREE_AMDVI, true);
    tree_map(0, 0x5000, K4, RADIX_READ);
    tree_map(M2, 8 * M2, M2, RADIX_READ | RADIX_WRITE);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3ULL << 61 | 3 << 9 | 1);
    assert_int_equal(entry_of(0, 2) & ~TABLES, 3ULL << 61 | 2 << 9 | 1);
    assert_int_equal(entry_of(0, 1) & ~TABLES, 3ULL << 61 | 1 << 9 | 1);
    assert_int_equal(entry_of(0, 0), 3ULL << 60 | 0x5001);
    assert_int_equal(entry_of(M2, 1), 7ULL << 60 | 8 * M2 | 1);
    tree_end();
}

static void test_largest_pages(void **state)
{
    for (unsigned format = 0; format < TREE_KINDS; format++) {
        tree_begin(format, true);
        tree_map(G1 - M2 - K4, G1 - M2 - K4, G1 + 2 * M2 + 2 * K4, TREE_RWX);
        tree_expect(G1 - M2 - K4, G1 - M2 - K4, K4, TREE_RWX);
        tree_expect(G1 - 1, G1 - 1, M2, TREE_RWX);
        tree_expect(G1 + 12345, G1 + 12345, G1, TREE_RWX);
        tree_expect(2 * G1, 2 * G1, M2, TREE_RWX);
        tree_expect(2 * G1 + M2, 2 * G1 + M2, K4, TREE_RWX);
        tree_expect_nothing(2 * G1 + M2 + K4);
        tree_expect_nothing(G1 - M2 - K4 - 1);
        tree_end();
        tree_begin(format, false); /* a CPU without pages of 1 GiB */
        tree_map(G1, G1, G1, TREE_RWX);
        tree_expect(G1 + 12345, G1 + 12345, M2, TREE_RWX);
        tree_expect(2 * G1 - 1, 2 * G1 - 1, M2, TREE_RWX);
        assert_int_equal(tree.table_pages, 3);
        tree_end();
        tree_begin(format,
                   true); /* guest and host not at the same distance from a 2 MiB boundary */
        tree_map(G1, G1 + K4, M2, TREE_RWX);
        tree_expect(G1, G1 + K4, K4, TREE_RWX);
        assert_int_equal(tree.table_pages, 4);
        tree_end();
    }
}

static void test_ends(void **state)
{
    uint64_t bytes;

    tree_begin(TREE_VTD, true);
    tree_map(G1, G1, G1, TREE_RWX);
    assert_true(radix_maps_any(&tree, 2 * G1 - K4, 2 * K4));
    assert_false(radix_maps_any(&tree, 2 * G1, TREE_TOP - 2 * G1));
    assert_int_equal(radix_unmap(&tree, G1 + M2, K4, &bytes), STATUS_OK);
    assert_int_equal(bytes, K4);
    assert_int_equal(radix_unmap(&tree, 0, TREE_TOP, &bytes), STATUS_OK);
    assert_int_equal(bytes, G1 - K4);
    tree_end();
}

static void refused(uint64_t at, uint64_t to, uint64_t size)
{
    uint32_t pages = tree.table_pages;

    assert_int_equal(radix_map(&tree, at, hpa(to), size, TREE_RWX, NULL), STATUS_RANGE);
    assert_int_equal(tree.table_pages, pages);
}

static void test_ranges(void **state)
{
    tree_begin(TREE_NPT, true);
    refused(1, 0, K4);
    refused(0, 1, K4);
    refused(0, 0, K4 + 1);
    refused(K4 / 2, 0, K4 / 2);
    refused(TREE_TOP, 0, K4);
    refused(TREE_TOP - K4, 0, 2 * K4);
    refused(K4, 0, TREE_TOP);
    refused(UINT64_MAX - K4 + 1, 0, K4);
    refused(K4, 0, UINT64_MAX - K4 + 1);
    refused(0, 1ULL << 52, K4);
    refused(0, UINT64_MAX - K4 + 1, K4);
    assert_int_equal(radix_unmap(&tree, 1, K4, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, 0, K4 - 1, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, TREE_TOP, K4, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, K4, TREE_TOP, NULL), STATUS_RANGE);
    tree_map(TREE_TOP - K4, K4, K4, TREE_RWX);
    tree_expect(TREE_TOP - 1, 2 * K4 - 1, K4, TREE_RWX);
    tree_expect_nothing(TREE_TOP);
    tree_expect_nothing(UINT64_MAX);
    tree_map(0, 0, 0, TREE_RWX); /* nothing, and no harm */
    tree_expect_nothing(0);
    tree_unmap(0, TREE_TOP);
    tree_expect_nothing(TREE_TOP - K4);
    tree_end();
}

/* What is mapped must have a host address that fits the entries to its very end. */
static void test_host_end(void **state)
{
    uint64_t end_of_host = 1ULL << 52;

    tree_begin(TREE_NPT, true);
    tree_map(0, end_of_host - K4, K4, TREE_RWX);
    tree_expect(5, end_of_host - K4 + 5, K4, TREE_RWX);
    refused(0, end_of_host - K4, 2 * K4);
    refused(0, end_of_host - G1, 2 * G1);
    tree_end();
}

static void test_no_memory(void **state)
{
    fake_pages_reset(0);
    assert_int_equal(radix_init(&tree), STATUS_NO_MEMORY);
    for (unsigned limit = 1; limit < 4; limit++) {
        tree_begin(TREE_NPT, true);
        fake_pages_limit(limit);
        assert_int_equal(radix_map(&tree, 0, hpa(0), K4, TREE_RWX, NULL), STATUS_NO_MEMORY);
        tree_expect_nothing(0);
        tree_end();
    }
    tree_begin(TREE_EPT, true);
    tree_map(0, 0, G1, TREE_RWX);
    fake_pages_limit(tree.table_pages); /* no split is possible: nothing changes */
    assert_int_equal(radix_map(&tree, K4, hpa(0), K4, TREE_RWX, NULL), STATUS_NO_MEMORY);
    assert_int_equal(radix_unmap(&tree, K4, K4, NULL), STATUS_NO_MEMORY);
    tree_expect(K4, K4, G1, TREE_RWX);
    fake_pages_limit(tree.table_pages + 1); /* the first of two */
    assert_int_equal(radix_unmap(&tree, K4, K4, NULL), STATUS_NO_MEMORY);
    tree_expect(K4, K4, M2, TREE_RWX);
    tree_expect(G1 - 1, G1 - 1, M2, TREE_RWX);
    tree_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),      cmocka_unit_test(test_largest_pages),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_host_end),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
