/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix tables of all formats, against a list of 4 KiB pages. */
#include "vmm/host/radix.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
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
#define RWX    (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE)
#define PAGES  1500U
#define TABLES 0x000ffffffffff000ULL

enum kind { NPT, EPT, OWN, VTD, AMDVI, KINDS };

static const struct radix_format formats[KINDS] = {
  /* AMD APM 2, 15.25.5: P, RW, US, A, D, PS; NX; PCD and PWT for uncached. */
    [NPT] = {.present = 1,
             .table = 0x27,
             .leaf = 0x05,
             .write = 2,
             .no_execute = 1ULL << 63,
             .type = 0x18,
             .uncached = 0x18,
             .combining = 8,
             .large = 0x80,
             .accessed = 0x20,
             .dirty = 0x40},
 /* Intel SDM 3, 29.3.2: R, W, X, memory type in bits 5:3, bit 7, A and D in bits 8 and 9. */
    [EPT] = {.present = 7,
             .table = 7,
             .leaf = 1,
             .write = 2,
             .execute = 4,
             .type = 0x38,
             .cached = 0x30,
             .combining = 8,
             .large = 0x80,
             .accessed = 0x100,
             .dirty = 0x200},
 /* Intel SDM 3, 4.5. */
    [OWN] = {.present = 1,
             .table = 3,
             .leaf = 1,
             .write = 2,
             .no_execute = 1ULL << 63,
             .type = 0x18,
             .uncached = 0x18,
             .combining = 8,
             .large = 0x80},
 /* VT-d 4.1, 9.8. */
    [VTD] = {.present = 3,        .table = 3, .read = 1, .write = 2, .large = 0x80              },
 /* AMD IOMMU 3.08, 2.2.3: the level of the next table in bits 11:9, IR and IW. */
    [AMDVI] = {.present = 1,
             .table = 3ULL << 61 | 1,
             .leaf = 1ULL << 60 | 1,
             .read = 1ULL << 61,
             .write = 1ULL << 62,
             .next_shift = 9                   },
};

/* RIGHTS as a page of this format has them: it lacks the bits for some. */
static unsigned as_kept(unsigned format, unsigned rights)
{
    if (format == VTD || format == AMDVI) {
        return (rights & (RADIX_READ | RADIX_WRITE)) | RADIX_EXECUTE;
    }
    if (rights & RADIX_UNCACHED) {
        rights &= ~(unsigned)RADIX_COMBINING;
    }
    return rights | RADIX_READ;
}

static struct radix tree;
static unsigned kind; /* of its format */

static void begin(unsigned format, bool giant_pages)
{
    fake_pages_reset(PAGES);
    fake_log_clear();
    kind = format;
    tree = (struct radix){
        .format = &formats[format], .page_sizes = K4 | M2 | (giant_pages ? G1 : 0), .levels = 4};
    assert_int_equal(radix_init(&tree), STATUS_OK);
}

static void end(void)
{
    assert_int_equal(fake_pages_used(), tree.table_pages);
    radix_destroy(&tree);
    assert_int_equal(fake_pages_used(), 0);
    assert_int_equal(tree.root.raw, 0);
}

static void map(uint64_t at, uint64_t to, uint64_t size, unsigned rights)
{
    assert_int_equal(radix_map(&tree, at, hpa(to), size, rights, NULL), STATUS_OK);
}

static void unmap(uint64_t at, uint64_t size)
{
    assert_int_equal(radix_unmap(&tree, at, size, NULL), STATUS_OK);
}

static void expect(uint64_t at, uint64_t to, uint64_t page, unsigned rights)
{
    struct radix_page found;

    assert_int_equal(radix_lookup(&tree, at, &found), STATUS_OK);
    assert_int_equal(found.address.raw, to);
    assert_int_equal(found.size, page);
    assert_int_equal(found.rights, as_kept(kind, rights));
}

static void expect_nothing(uint64_t at)
{
    struct radix_page found;

    assert_int_equal(radix_lookup(&tree, at, &found), STATUS_NOT_FOUND);
}

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
    begin(NPT, true);
    map(0, 0x5000, K4, RWX);
    map(M2, 8 * M2, M2, RADIX_READ);
    map(G1, 3 * G1, G1, RADIX_READ | RADIX_WRITE | RADIX_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 2) & ~TABLES, 0x27);
    assert_int_equal(entry_of(0, 0), 0x5067);
    assert_int_equal(entry_of(M2, 1), 1ULL << 63 | 8 * M2 | 0xe5);
    assert_int_equal(entry_of(G1, 2), 1ULL << 63 | 3 * G1 | 0xff);
    end();
    begin(EPT, true);
    map(0, 0x5000, K4, RWX);
    map(M2, 8 * M2, M2, RADIX_READ);
    map(G1, 3 * G1, G1, RADIX_READ | RADIX_WRITE | RADIX_UNCACHED);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 7);
    assert_int_equal(entry_of(0, 0), 0x5337);
    assert_int_equal(entry_of(M2, 1), 8 * M2 | 0x3b1);
    assert_int_equal(entry_of(G1, 2), 3 * G1 | 0x383);
    end();
    begin(OWN, true);
    map(0, 0x5000, K4, RADIX_WRITE);
    map(K4, 0x6000, K4, RADIX_WRITE | RADIX_COMBINING);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3);
    assert_int_equal(entry_of(0, 0), 1ULL << 63 | 0x5003);
    assert_int_equal(entry_of(K4, 0), 1ULL << 63 | 0x600b);
    end();
    begin(VTD, true);
    tree.extra_leaf = 1ULL << 11; /* SNP */
    map(0, 0x5000, K4, RADIX_READ);
    map(M2, 8 * M2, M2, RADIX_READ | RADIX_WRITE);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3);
    assert_int_equal(entry_of(0, 0), 0x5801);
    assert_int_equal(entry_of(M2, 1), 8 * M2 | 0x883);
    end();
    begin(AMDVI, true);
    map(0, 0x5000, K4, RADIX_READ);
    map(M2, 8 * M2, M2, RADIX_READ | RADIX_WRITE);
    assert_int_equal(entry_of(0, 3) & ~TABLES, 3ULL << 61 | 3 << 9 | 1);
    assert_int_equal(entry_of(0, 2) & ~TABLES, 3ULL << 61 | 2 << 9 | 1);
    assert_int_equal(entry_of(0, 1) & ~TABLES, 3ULL << 61 | 1 << 9 | 1);
    assert_int_equal(entry_of(0, 0), 3ULL << 60 | 0x5001);
    assert_int_equal(entry_of(M2, 1), 7ULL << 60 | 8 * M2 | 1);
    end();
}

static void test_largest_pages(void **state)
{
    for (unsigned format = 0; format < KINDS; format++) {
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
    unsigned rights = RADIX_READ | RADIX_WRITE;

    for (unsigned format = 0; format < KINDS; format++) {
        begin(format, true);
        map(0, 4 * G1, 2 * G1, rights);
        map(G1 + 3 * M2 + 7 * K4, 0xabc000, K4, RADIX_READ | RADIX_UNCACHED);
        expect(G1 - 1, 5 * G1 - 1, G1, rights);
        expect(G1, 5 * G1, M2, rights);
        expect(G1 + 3 * M2 - 1, 5 * G1 + 3 * M2 - 1, M2, rights);
        expect(G1 + 3 * M2 + 7 * K4 - 1, 5 * G1 + 3 * M2 + 7 * K4 - 1, K4, rights);
        expect(G1 + 3 * M2 + 7 * K4 + 5, 0xabc005, K4, RADIX_READ | RADIX_UNCACHED);
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

    begin(0, true);
    tree.format = &marking;
    map(0, 4 * G1, 2 * G1, RADIX_READ | RADIX_WRITE);
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
    end();
}

static void test_split_keeps_memory_type(void **state)
{
    for (unsigned format = 0; format < KINDS; format++) {
        for (unsigned rights = RADIX_READ; rights < 32; rights += 2) {
            begin(format, true);
            map(0, 0, G1, rights);
            expect(0, 0, G1, rights);
            unmap(M2 + K4, K4);
            expect(0, 0, M2, rights);
            expect(M2, M2, K4, rights);
            map(0, 0, G1, RWX); /* over the tables, which stay */
            expect(0, 0, M2, RWX);
            expect(M2 + K4, M2 + K4, K4, RWX);
            end();
        }
    }
}

static unsigned prune(uint64_t at, uint64_t size, bool merge)
{
    uint64_t *pruned[3]; /* fewer than there are */
    unsigned count, all = 0;

    while ((count = radix_prune(&tree, at, size, merge, pruned, ARRAY_SIZE(pruned))) > 0) {
        assert_in_range(count, 1, ARRAY_SIZE(pruned));
        radix_free(&tree, pruned, count);
        all += count;
    }
    return all;
}

/* Write protection of a part, in whole pages or split, and all put together again. */
static void test_protect(void **state)
{
    unsigned rw = RADIX_READ | RADIX_WRITE;

    for (unsigned format = 0; format < KINDS; format++) {
        begin(format, true);
        map(0, 4 * G1, 2 * G1, rw);
        assert_int_equal(radix_protect(&tree, 5 * K4, K4, RADIX_READ, true), STATUS_OK);
        expect(0, 4 * G1, G1, RADIX_READ);
        expect(G1, 5 * G1, G1, rw);
        assert_int_equal(tree.table_pages, 2);
        assert_int_equal(radix_protect(&tree, 5 * K4, K4, rw, false), STATUS_OK);
        expect(5 * K4, 4 * G1 + 5 * K4, K4, rw);
        expect(4 * K4, 4 * G1 + 4 * K4, K4, RADIX_READ);
        expect(6 * K4, 4 * G1 + 6 * K4, K4, RADIX_READ);
        expect(M2, 4 * G1 + M2, M2, RADIX_READ);
        assert_int_equal(tree.table_pages, 4);
        assert_int_equal(prune(0, 2 * G1, true), 0); /* one page differs */
        assert_int_equal(radix_protect(&tree, 0, 3 * G1, rw, false), STATUS_OK);
        expect(5 * K4, 4 * G1 + 5 * K4, K4, rw);
        expect_nothing(2 * G1); /* what is not mapped stays so */
        assert_int_equal(prune(0, 2 * G1, false), 0);
        assert_int_equal(prune(0, 2 * G1, true), 2);
        expect(0, 4 * G1, G1, rw);
        assert_int_equal(tree.table_pages, 2);
        fake_pages_limit(tree.table_pages);
        assert_int_equal(radix_protect(&tree, K4, K4, RADIX_READ, false), STATUS_NO_MEMORY);
        expect(0, 4 * G1, G1, rw);
        end();
    }
}

/* What does not lie as a large page would is not put together; what is empty goes. */
static void test_prune(void **state)
{
    for (unsigned format = 0; format < KINDS; format++) {
        begin(format, false); /* hardware without pages of 1 GiB */
        map(0, 0, G1, RWX);
        assert_int_equal(prune(0, TOP, true), 0);
        map(K4, 0, K4, RWX);
        assert_int_equal(prune(0, TOP, true), 0);
        map(K4, K4, K4, RWX);
        assert_int_equal(prune(M2, G1, true), 0); /* not there */
        assert_int_equal(prune(0, TOP, true), 1);
        map(G1, G1 + K4, M2, RWX); /* in line, but not at a boundary */
        assert_int_equal(prune(0, TOP, true), 0);
        assert_int_equal(radix_unmap(&tree, 0, TOP, NULL), STATUS_OK);
        assert_int_equal(prune(0, TOP, false), tree.table_pages - 1);
        assert_int_equal(tree.table_pages, 1);
        assert_false(radix_maps_any(&tree, 0, TOP));
        end();
    }
}

static void test_ends(void **state)
{
    uint64_t bytes;

    begin(VTD, true);
    map(G1, G1, G1, RWX);
    assert_true(radix_maps_any(&tree, 2 * G1 - K4, 2 * K4));
    assert_false(radix_maps_any(&tree, 2 * G1, TOP - 2 * G1));
    assert_int_equal(radix_unmap(&tree, G1 + M2, K4, &bytes), STATUS_OK);
    assert_int_equal(bytes, K4);
    assert_int_equal(radix_unmap(&tree, 0, TOP, &bytes), STATUS_OK);
    assert_int_equal(bytes, G1 - K4);
    end();
}

static void refused(uint64_t at, uint64_t to, uint64_t size)
{
    uint32_t pages = tree.table_pages;

    assert_int_equal(radix_map(&tree, at, hpa(to), size, RWX, NULL), STATUS_RANGE);
    assert_int_equal(tree.table_pages, pages);
}

static void test_ranges(void **state)
{
    begin(NPT, true);
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
    assert_int_equal(radix_unmap(&tree, 1, K4, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, 0, K4 - 1, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, TOP, K4, NULL), STATUS_RANGE);
    assert_int_equal(radix_unmap(&tree, K4, TOP, NULL), STATUS_RANGE);
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

    begin(NPT, true);
    map(0, end_of_host - K4, K4, RWX);
    expect(5, end_of_host - K4 + 5, K4, RWX);
    refused(0, end_of_host - K4, 2 * K4);
    refused(0, end_of_host - G1, 2 * G1);
    end();
}

static void test_no_memory(void **state)
{
    fake_pages_reset(0);
    assert_int_equal(radix_init(&tree), STATUS_NO_MEMORY);
    for (unsigned limit = 1; limit < 4; limit++) {
        begin(NPT, true);
        fake_pages_limit(limit);
        assert_int_equal(radix_map(&tree, 0, hpa(0), K4, RWX, NULL), STATUS_NO_MEMORY);
        expect_nothing(0);
        end();
    }
    begin(EPT, true);
    map(0, 0, G1, RWX);
    fake_pages_limit(tree.table_pages); /* no split is possible: nothing changes */
    assert_int_equal(radix_map(&tree, K4, hpa(0), K4, RWX, NULL), STATUS_NO_MEMORY);
    assert_int_equal(radix_unmap(&tree, K4, K4, NULL), STATUS_NO_MEMORY);
    expect(K4, K4, G1, RWX);
    fake_pages_limit(tree.table_pages + 1); /* the first of two */
    assert_int_equal(radix_unmap(&tree, K4, K4, NULL), STATUS_NO_MEMORY);
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
            struct radix_page found;

            if (wanted == 0) {
                expect_nothing(at);
                continue;
            }
            assert_int_equal(radix_lookup(&tree, at + 8, &found), STATUS_OK);
            assert_int_equal(found.address.raw, (wanted & ~0xfffULL) + 8);
            assert_int_equal(found.rights, as_kept(kind, wanted & 0xfff));
        }
    }
}

static void random_step(struct random *random)
{
    unsigned s = random_below(random, ARRAY_SIZE(stretches));
    unsigned first = random_below(random, STRETCH_PAGES);
    unsigned count = 1 + random_below(random, random_below(random, 2) ? 8 : STRETCH_PAGES - first);
    uint64_t to = G1 + (uint64_t)random_below(random, 1 << 20) * K4;
    unsigned rights = RADIX_READ | random_below(random, 32);

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

    for (unsigned format = 0; format < 2 * KINDS; format++) {
        begin(format % KINDS, format / KINDS);
        memset(model, 0, sizeof(model));
        for (unsigned i = 0; i < 1000; i++) {
            random_step(&random);
            if (random_below(&random, 20) == 0) {
                (void)prune(0, TOP, random_below(&random, 2));
            }
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
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_largest_pages),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_split_keeps_memory_type),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_host_end),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_protect),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
