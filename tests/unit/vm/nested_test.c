/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page tables of both vendors' formats, against a list of 4 KiB pages. */
#include "vmm/vm/nested.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/vm/fake_pages.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K4     PAGE_SIZE
#define M2     PAGE_SIZE_2M
#define G1     PAGE_SIZE_1G
#define TOP    (1ULL << 48)
#define RWX    (NESTED_READ | NESTED_WRITE | NESTED_EXECUTE)
#define PAGES  1500U
#define TABLES 0x000ffffffffff000ULL

static const struct nested_format formats[] = {
  /* AMD APM 2, 15.25.5: P, RW, US, A, D, PS; NX; PCD and PWT for uncached. */
    {.present = 1,
     .table = 0x27,
     .read = 0x65,
     .write = 2,
     .no_execute = 1ULL << 63,
     .uncached = 0x18,
     .large = 0x80                                                                               },
 /* Intel SDM 3, 29.3.2: R, W, X, memory type in bits 5:3, bit 7. */
    {.present = 7, .table = 7, .read = 1, .write = 2, .execute = 4, .cached = 0x30, .large = 0x80},
};

static struct nested tree;

static void begin(unsigned format, bool giant_pages)
{
    fake_pages_reset(PAGES);
    fake_log_clear();
    assert_int_equal(nested_init(&tree, &formats[format], giant_pages), STATUS_OK);
}

static void end(void)
{
    assert_int_equal(fake_pages_used(), tree.table_pages);
    nested_destroy(&tree);
    assert_int_equal(fake_pages_used(), 0);
    assert_null(tree.root);
}

static void map(uint64_t at, uint64_t to, uint64_t size, unsigned rights)
{
    assert_int_equal(nested_map(&tree, gpa(at), hpa(to), size, rights), STATUS_OK);
}

static void unmap(uint64_t at, uint64_t size)
{
    assert_int_equal(nested_unmap(&tree, gpa(at), size), STATUS_OK);
}

static void expect(uint64_t at, uint64_t to, uint64_t page, unsigned rights)
{
    hpa_t found;
    unsigned found_rights;
    uint64_t size;

    assert_int_equal(nested_lookup(&tree, gpa(at), &found, &found_rights, &size), STATUS_OK);
    assert_int_equal(found.raw, to);
    assert_int_equal(size, page);
    assert_int_equal(found_rights, rights);
}

static void expect_nothing(uint64_t at)
{
    hpa_t found;
    unsigned rights;
    uint64_t size;

    assert_int_equal(nested_lookup(&tree, gpa(at), &found, &rights, &size), STATUS_NOT_FOUND);
}

/* The entry of AT at LEVEL, as the CPU's walk finds it. */
static uint64_t entry_of(uint64_t at, unsigned level)
{
    const uint64_t *table = pool_pointer(nested_root(&tree));

    for (unsigned i = 3; i > level; i--) {
        table = pool_pointer(hpa(table[at >> (12 + 9 * i) & 511] & TABLES));
    }
    return table[at >> (12 + 9 * level) & 511];
}

/* The very bits that each vendor's manual wants. */
static void test_bits(void **state)
{
    begin(0, true);
    map(0, 0x5000, K4, RWX);
    map(M2, 8 * M2, M2, NESTED_READ);
    map(G1, 3 * G1, G1, NESTED_READ | NESTED_WRITE | NESTED_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 2) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 0), 0x5067);
    assert_int_equal(entry_of(M2, 1), 1ULL << 63 | 8 * M2 | 0xe5);
    assert_int_equal(entry_of(G1, 2), 1ULL << 63 | 3 * G1 | 0xff);
    end();
    begin(1, true);
    map(0, 0x5000, K4, RWX);
    map(M2, 8 * M2, M2, NESTED_READ);
    map(G1, 3 * G1, G1, NESTED_READ | NESTED_WRITE | NESTED_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 7);
    assert_int_equal(entry_of(0, 0), 0x5037);
    assert_int_equal(entry_of(M2, 1), 8 * M2 | 0xb1);
    assert_int_equal(entry_of(G1, 2), 3 * G1 | 0x83);
    end();
}

static void test_largest_pages(void **state)
{
    for (unsigned format = 0; format < 2; format++) {
        begin(format, true);
        map(G1 - M2 - K4, G1 - M2 - K4, G1 + 2 * M2 + 2 * K4, RWX);
        expect(G1 - M2 - K4, G1 - M2 - K4, K4, RWX);
        expect(G1 - 1, G1 - 1, M2, RWX);
        expect(G1 + 12345, G1 + 12345, G1, RWX);
        expect(2 * G1, 2 * G1, M2, RWX);
        expect(2 * G1 + M2, 2 * G1 + M2, K4, RWX);
        expect_nothing(2 * G1 + M2 + K4);
        expect_nothing(G1 - M2 - K4 - 1);
        end();
        begin(format, false); /* a CPU without pages of 1 GiB */
        map(G1, G1, G1, RWX);
        expect(G1 + 12345, G1 + 12345, M2, RWX);
        expect(2 * G1 - 1, 2 * G1 - 1, M2, RWX);
        assert_int_equal(tree.table_pages, 3);
        end();
        begin(format, true); /* guest and host not at the same distance from a 2 MiB boundary */
        map(G1, G1 + K4, M2, RWX);
        expect(G1, G1 + K4, K4, RWX);
        assert_int_equal(tree.table_pages, 4);
        end();
    }
}

/* One page is taken out of a large one: all that is around it stays as it was. */
static void test_split(void **state)
{
    unsigned rights = NESTED_READ | NESTED_WRITE;

    for (unsigned format = 0; format < 2; format++) {
        begin(format, true);
        map(0, 4 * G1, 2 * G1, rights);
        map(G1 + 3 * M2 + 7 * K4, 0xabc000, K4, NESTED_READ | NESTED_UNCACHED);
        expect(G1 - 1, 5 * G1 - 1, G1, rights);
        expect(G1, 5 * G1, M2, rights);
        expect(G1 + 3 * M2 - 1, 5 * G1 + 3 * M2 - 1, M2, rights);
        expect(G1 + 3 * M2 + 7 * K4 - 1, 5 * G1 + 3 * M2 + 7 * K4 - 1, K4, rights);
        expect(G1 + 3 * M2 + 7 * K4 + 5, 0xabc005, K4, NESTED_READ | NESTED_UNCACHED);
        expect(G1 + 3 * M2 + 8 * K4, 5 * G1 + 3 * M2 + 8 * K4, K4, rights);
        expect(G1 + 4 * M2, 5 * G1 + 4 * M2, M2, rights);
        expect(2 * G1 - 1, 6 * G1 - 1, M2, rights);
        assert_int_equal(tree.table_pages, 4);
        unmap(G1 + 100 * M2 + K4, 2 * K4);
        expect(G1 + 100 * M2, 5 * G1 + 100 * M2, K4, rights);
        expect_nothing(G1 + 100 * M2 + K4);
        expect_nothing(G1 + 100 * M2 + 3 * K4 - 1);
        expect(G1 + 100 * M2 + 3 * K4, 5 * G1 + 100 * M2 + 3 * K4, K4, rights);
        unmap(0, G1); /* as a whole: nothing to split */
        expect_nothing(0);
        expect_nothing(G1 - 1);
        assert_int_equal(tree.table_pages, 5);
        end();
    }
}

static void test_split_keeps_memory_type(void **state)
{
    for (unsigned format = 0; format < 2; format++) {
        for (unsigned rights = 0; rights < 16; rights++) {
            begin(format, true);
            map(0, 0, G1, rights);
            expect(0, 0, G1, rights | NESTED_READ);
            unmap(M2 + K4, K4);
            expect(0, 0, M2, rights | NESTED_READ);
            expect(M2, M2, K4, rights | NESTED_READ);
            map(0, 0, G1, RWX); /* over the tables, which stay */
            expect(0, 0, M2, RWX);
            expect(M2 + K4, M2 + K4, K4, RWX);
            end();
        }
    }
}

static void refused(uint64_t at, uint64_t to, uint64_t size)
{
    uint32_t pages = tree.table_pages;

    assert_int_equal(nested_map(&tree, gpa(at), hpa(to), size, RWX), STATUS_RANGE);
    assert_int_equal(tree.table_pages, pages);
}

static void test_ranges(void **state)
{
    begin(0, true);
    refused(1, 0, K4);
    refused(0, 1, K4);
    refused(0, 0, K4 + 1);
    refused(K4 / 2, 0, K4 / 2);
    refused(TOP, 0, K4);
    refused(TOP - K4, 0, 2 * K4);
    refused(K4, 0, TOP);
    refused(UINT64_MAX - K4 + 1, 0, K4);
    refused(K4, 0, UINT64_MAX - K4 + 1);
    refused(0, 1ULL << 52, K4);
    refused(0, UINT64_MAX - K4 + 1, K4);
    assert_int_equal(nested_unmap(&tree, gpa(1), K4), STATUS_RANGE);
    assert_int_equal(nested_unmap(&tree, gpa(0), K4 - 1), STATUS_RANGE);
    assert_int_equal(nested_unmap(&tree, gpa(TOP), K4), STATUS_RANGE);
    assert_int_equal(nested_unmap(&tree, gpa(K4), TOP), STATUS_RANGE);
    map(TOP - K4, K4, K4, RWX);
    expect(TOP - 1, 2 * K4 - 1, K4, RWX);
    expect_nothing(TOP);
    expect_nothing(UINT64_MAX);
    map(0, 0, 0, RWX); /* nothing, and no harm */
    expect_nothing(0);
    unmap(0, TOP);
    expect_nothing(TOP - K4);
    end();
}

/* What is mapped must have a host address that fits the entries to its very end. */
static void test_host_end(void **state)
{
    uint64_t end_of_host = 1ULL << 52;

    begin(0, true);
    map(0, end_of_host - K4, K4, RWX);
    expect(5, end_of_host - K4 + 5, K4, RWX);
    refused(0, end_of_host - K4, 2 * K4);
    refused(0, end_of_host - G1, 2 * G1);
    end();
}

static void test_no_memory(void **state)
{
    fake_pages_reset(0);
    assert_int_equal(nested_init(&tree, &formats[0], true), STATUS_NO_MEMORY);
    for (unsigned limit = 1; limit < 4; limit++) {
        begin(0, true);
        fake_pages_limit(limit);
        assert_int_equal(nested_map(&tree, gpa(0), hpa(0), K4, RWX), STATUS_NO_MEMORY);
        expect_nothing(0);
        end();
    }
    begin(1, true);
    map(0, 0, G1, RWX);
    fake_pages_limit(tree.table_pages); /* no split is possible: nothing changes */
    assert_int_equal(nested_map(&tree, gpa(K4), hpa(0), K4, RWX), STATUS_NO_MEMORY);
    assert_int_equal(nested_unmap(&tree, gpa(K4), K4), STATUS_NO_MEMORY);
    expect(K4, K4, G1, RWX);
    fake_pages_limit(tree.table_pages + 1); /* the first of two */
    assert_int_equal(nested_unmap(&tree, gpa(K4), K4), STATUS_NO_MEMORY);
    expect(K4, K4, M2, RWX);
    expect(G1 - 1, G1 - 1, M2, RWX);
    end();
}

/*
 * The model: three stretches of guest memory where tables meet, as lists of 4 KiB pages. 0: nothing
 * there, else the host address, with the rights in its low bits.
 */
#define STRETCH_PAGES 2048U /* four pages of 2 MiB */
static const uint64_t stretches[] = {0, G1 - 4 * M2, (1ULL << 39) - 2 * M2};
static uint64_t model[ARRAY_SIZE(stretches)][STRETCH_PAGES];

static void check_model(void)
{
    for (unsigned s = 0; s < ARRAY_SIZE(stretches); s++) {
        for (unsigned i = 0; i < STRETCH_PAGES; i++) {
            uint64_t wanted = model[s][i], at = stretches[s] + i * K4;
            hpa_t found;
            unsigned rights;
            uint64_t size;

            if (wanted == 0) {
                expect_nothing(at);
                continue;
            }
            assert_int_equal(nested_lookup(&tree, gpa(at + 8), &found, &rights, &size), STATUS_OK);
            assert_int_equal(found.raw, (wanted & ~0xfffULL) + 8);
            assert_int_equal(rights, wanted & 0xfff);
        }
    }
}

static void random_step(struct random *random)
{
    unsigned s = random_below(random, ARRAY_SIZE(stretches));
    unsigned first = random_below(random, STRETCH_PAGES);
    unsigned count = 1 + random_below(random, random_below(random, 2) ? 8 : STRETCH_PAGES - first);
    uint64_t to = G1 + (uint64_t)random_below(random, 1 << 20) * K4;
    unsigned rights = NESTED_READ | random_below(random, 16);

    if (random_below(random, 2)) { /* so that large pages fit */
        first &= ~511U;
        to &= ~(M2 - 1);
        count = 512 * (1 + random_below(random, 3));
    }
    count = first + count <= STRETCH_PAGES ? count : STRETCH_PAGES - first;
    if (random_below(random, 3) == 0) {
        unmap(stretches[s] + first * K4, count * K4);
        memset(&model[s][first], 0, count * sizeof(model[s][0]));
        return;
    }
    map(stretches[s] + first * K4, to, count * K4, rights);
    for (unsigned i = 0; i < count; i++) {
        model[s][first + i] = (to + i * K4) | rights;
    }
}

static void test_random(void **state)
{
    struct random random = {4096};

    for (unsigned format = 0; format < 4; format++) {
        begin(format % 2, format / 2);
        memset(model, 0, sizeof(model));
        for (unsigned i = 0; i < 1000; i++) {
            random_step(&random);
            if (i % 10 == 0) {
                check_model();
            }
        }
        check_model();
        assert_in_range(tree.table_pages, 4, 40);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),      cmocka_unit_test(test_largest_pages),
        cmocka_unit_test(test_split),     cmocka_unit_test(test_split_keeps_memory_type),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_host_end),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
