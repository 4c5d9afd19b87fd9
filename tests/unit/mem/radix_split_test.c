/* SPDX-License-Identifier: BSD-2-Clause */
/* Large pages of radix tables that are split, and put together again. */
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

/* One page is taken out of a large one: all that is around it stays as it was. */
static void test_split(void **state)
{
    unsigned rights = RADIX_READ | RADIX_WRITE;

    for (unsigned format = 0; format < TREE_KINDS; format++) {
        tree_begin(format, true);
        tree_map(0, 4 * G1, 2 * G1, rights);
        tree_map(G1 + 3 * M2 + 7 * K4, 0xabc000, K4, RADIX_READ | RADIX_UNCACHED);
        tree_expect(G1 - 1, 5 * G1 - 1, G1, rights);
        tree_expect(G1, 5 * G1, M2, rights);
        tree_expect(G1 + 3 * M2 - 1, 5 * G1 + 3 * M2 - 1, M2, rights);
        tree_expect(G1 + 3 * M2 + 7 * K4 - 1, 5 * G1 + 3 * M2 + 7 * K4 - 1, K4, rights);
        tree_expect(G1 + 3 * M2 + 7 * K4 + 5, 0xabc005, K4, RADIX_READ | RADIX_UNCACHED);
        tree_expect(G1 + 3 * M2 + 8 * K4, 5 * G1 + 3 * M2 + 8 * K4, K4, rights);
        tree_expect(G1 + 4 * M2, 5 * G1 + 4 * M2, M2, rights);
        tree_expect(2 * G1 - 1, 6 * G1 - 1, M2, rights);
        assert_int_equal(tree.table_pages, 4);
        tree_unmap(G1 + 100 * M2 + K4, 2 * K4);
        tree_expect(G1 + 100 * M2, 5 * G1 + 100 * M2, K4, rights);
        tree_expect_nothing(G1 + 100 * M2 + K4);
        tree_expect_nothing(G1 + 100 * M2 + 3 * K4 - 1);
        tree_expect(G1 + 100 * M2 + 3 * K4, 5 * G1 + 100 * M2 + 3 * K4, K4, rights);
        tree_unmap(0, G1); /* as a whole: nothing to split */
        tree_expect_nothing(0);
        tree_expect_nothing(G1 - 1);
        assert_int_equal(tree.table_pages, 5);
        tree_end();
    }
}

/* Hardware sets marks in entries, of whatever size; what is taken from small ones is gone. */
static void test_written(void **state)
{
    static const struct radix_format marking = {.present = 1,
                                                .table = 7,
                                                .leaf = 1,
                                                .read = 1,
                                                .write = 2,
                                                .large = 1 << 7,
                                                .written = 1 << 6};
    uint64_t *table;

    tree_begin(0, true);
    tree.format = &marking;
    tree_map(0, 4 * G1, 2 * G1, RADIX_READ | RADIX_WRITE);
    table = pool_pointer(hpa(*(uint64_t *)pool_pointer(tree.root) & TABLES));
    assert_int_equal(radix_take_written(&tree, 0), 0);
    table[0] |= marking.written;
    assert_int_equal(radix_take_written(&tree, 5 * M2), UINT64_MAX);
    assert_int_equal(radix_take_written(&tree, G1), 0);
    assert_int_equal(radix_split(&tree, M2, M2), STATUS_OK);
    assert_int_equal(radix_take_written(&tree, M2 - 64 * K4), UINT64_MAX); /* not split */
    for (uint64_t at = M2; at < 2 * M2; at += 64 * K4) { /* as all of it may have been */
        assert_int_equal(radix_take_written(&tree, at), UINT64_MAX);
        assert_int_equal(radix_take_written(&tree, at), 0);
    }
    table = pool_pointer(hpa(table[0] & TABLES));
    table = pool_pointer(hpa(table[1] & TABLES));
    table[64] |= marking.written;
    table[127] |= marking.written;
    assert_int_equal(radix_take_written(&tree, M2), 0);
    assert_int_equal(radix_take_written(&tree, M2 + 64 * K4), 1ULL << 63 | 1);
    assert_int_equal(radix_take_written(&tree, M2 + 64 * K4), 0);
    assert_int_equal(radix_take_written(&tree, 3 * G1), 0); /* nothing is mapped there */
    assert_int_equal(radix_split(&tree, 2 * G1, G1), STATUS_OK);
    assert_int_equal(tree.table_pages, 4);
    assert_int_equal(radix_split(&tree, K4 - 1, K4), STATUS_RANGE);
    assert_int_equal(radix_split(&tree, 1ULL << 48, K4), STATUS_RANGE);
    tree_end();
}

static void test_split_keeps_memory_type(void **state)
{
    for (unsigned format = 0; format < TREE_KINDS; format++) {
        for (unsigned rights = RADIX_READ; rights < 32; rights += 2) {
            tree_begin(format, true);
            tree_map(0, 0, G1, rights);
            tree_expect(0, 0, G1, rights);
            tree_unmap(M2 + K4, K4);
            tree_expect(0, 0, M2, rights);
            tree_expect(M2, M2, K4, rights);
            tree_map(0, 0, G1, TREE_RWX); /* over the tables, which stay */
            tree_expect(0, 0, M2, TREE_RWX);
            tree_expect(M2 + K4, M2 + K4, K4, TREE_RWX);
            tree_end();
        }
    }
}

/* Write protection of a part, in whole pages or split, and all put together again. */
static void test_protect(void **state)
{
    unsigned rw = RADIX_READ | RADIX_WRITE;

    for (unsigned format = 0; format < TREE_KINDS; format++) {
        tree_begin(format, true);
        tree_map(0, 4 * G1, 2 * G1, rw);
        assert_int_equal(radix_protect(&tree, 5 * K4, K4, RADIX_READ, true), STATUS_OK);
        tree_expect(0, 4 * G1, G1, RADIX_READ);
        tree_expect(G1, 5 * G1, G1, rw);
        assert_int_equal(tree.table_pages, 2);
        assert_int_equal(radix_protect(&tree, 5 * K4, K4, rw, false), STATUS_OK);
        tree_expect(5 * K4, 4 * G1 + 5 * K4, K4, rw);
        tree_expect(4 * K4, 4 * G1 + 4 * K4, K4, RADIX_READ);
        tree_expect(6 * K4, 4 * G1 + 6 * K4, K4, RADIX_READ);
        tree_expect(M2, 4 * G1 + M2, M2, RADIX_READ);
        assert_int_equal(tree.table_pages, 4);
        assert_int_equal(tree_prune(0, 2 * G1, true), 0); /* one page differs */
        assert_int_equal(radix_protect(&tree, 0, 3 * G1, rw, false), STATUS_OK);
        tree_expect(5 * K4, 4 * G1 + 5 * K4, K4, rw);
        tree_expect_nothing(2 * G1); /* what is not mapped stays so */
        assert_int_equal(tree_prune(0, 2 * G1, false), 0);
        assert_int_equal(tree_prune(0, 2 * G1, true), 2);
        tree_expect(0, 4 * G1, G1, rw);
        assert_int_equal(tree.table_pages, 2);
        fake_pages_limit(tree.table_pages);
        assert_int_equal(radix_protect(&tree, K4, K4, RADIX_READ, false), STATUS_NO_MEMORY);
        tree_expect(0, 4 * G1, G1, rw);
        tree_end();
    }
}

/* What does not lie as a large page would is not put together; what is empty goes. */
static void test_prune(void **state)
{
    for (unsigned format = 0; format < TREE_KINDS; format++) {
        tree_begin(format, false); /* hardware without pages of 1 GiB */
        tree_map(0, 0, G1, TREE_RWX);
        assert_int_equal(tree_prune(0, TREE_TOP, true), 0);
        tree_map(K4, 0, K4, TREE_RWX);
        assert_int_equal(tree_prune(0, TREE_TOP, true), 0);
        tree_map(K4, K4, K4, TREE_RWX);
        assert_int_equal(tree_prune(M2, G1, true), 0); /* not there */
        assert_int_equal(tree_prune(0, TREE_TOP, true), 1);
        tree_map(G1, G1 + K4, M2, TREE_RWX); /* in line, but not at a boundary */
        assert_int_equal(tree_prune(0, TREE_TOP, true), 0);
        assert_int_equal(radix_unmap(&tree, 0, TREE_TOP, NULL), STATUS_OK);
        assert_int_equal(tree_prune(0, TREE_TOP, false), tree.table_pages - 1);
        assert_int_equal(tree.table_pages, 1);
        assert_false(radix_maps_any(&tree, 0, TREE_TOP));
        tree_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_split_keeps_memory_type),
        cmocka_unit_test(test_protect),
        cmocka_unit_test(test_prune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
