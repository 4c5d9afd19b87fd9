/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/regions.h"

#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RANGES_MAX 4096

static struct region_edge edges[2 * RANGES_MAX];
static struct handoff_region out[2 * RANGES_MAX];
static size_t out_count;

static void expect_regions(const struct handoff_region *raw, size_t raw_count,
                           const struct handoff_region *wanted, size_t wanted_count)
{
    assert_int_equal(regions_normalise(raw, raw_count, edges, out, ARRAY_SIZE(out), &out_count),
                     STATUS_OK);
    assert_int_equal(out_count, wanted_count);
    for (size_t i = 0; i < wanted_count; i++) {
        assert_int_equal(out[i].base, wanted[i].base);
        assert_int_equal(out[i].size, wanted[i].size);
        assert_int_equal(out[i].type, wanted[i].type);
    }
}

#define EXPECT(raw, ...)                                                    \
    do {                                                                    \
        const struct handoff_region wanted[] = {__VA_ARGS__};               \
        expect_regions((raw), ARRAY_SIZE(raw), wanted, ARRAY_SIZE(wanted)); \
    } while (0)

static void test_empty(void **state)
{
    expect_regions(NULL, 0, NULL, 0);
}

static void test_sorts_and_joins_neighbours(void **state)
{
    const struct handoff_region raw[] = {
        {0x5000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
        {0x1000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
        {0x3000, 0x2000, HANDOFF_MEMORY_ACPI,   0},
        {0x2000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
    };

    EXPECT(raw, {0x1000, 0x2000, HANDOFF_MEMORY_USABLE, 0},
           {0x3000, 0x2000, HANDOFF_MEMORY_ACPI, 0}, {0x5000, 0x1000, HANDOFF_MEMORY_USABLE, 0});
}

static void test_keeps_gaps(void **state)
{
    const struct handoff_region raw[] = {
        {0x1000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
        {0x3000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
    };

    EXPECT(raw, {0x1000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
           {0x3000, 0x1000, HANDOFF_MEMORY_USABLE, 0});
}

static void test_stricter_type_wins_an_overlap(void **state)
{
    const struct handoff_region raw[] = {
        {0x1000, 0x9000, HANDOFF_MEMORY_USABLE,   0},
        {0x2000, 0x3000, HANDOFF_MEMORY_LOADER,   0},
        {0x4000, 0x2000, HANDOFF_MEMORY_RESERVED, 0},
        {0x8000, 0x4000, HANDOFF_MEMORY_NVS,      0},
    };

    EXPECT(raw, {0x1000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
           {0x2000, 0x2000, HANDOFF_MEMORY_LOADER, 0}, {0x4000, 0x2000, HANDOFF_MEMORY_RESERVED, 0},
           {0x6000, 0x2000, HANDOFF_MEMORY_USABLE, 0}, {0x8000, 0x4000, HANDOFF_MEMORY_NVS, 0});
}

static void test_free_memory_shrinks_and_the_rest_grows_to_pages(void **state)
{
    const struct handoff_region raw[] = {
        {0x1001, 0x3000, HANDOFF_MEMORY_USABLE,   0},
        {0x9fff, 0x2,    HANDOFF_MEMORY_RESERVED, 0},
        {0xc001, 0xffe,  HANDOFF_MEMORY_USABLE,   0},
        {0xf000, 0,      HANDOFF_MEMORY_RESERVED, 0},
    };

    EXPECT(raw, {0x2000, 0x2000, HANDOFF_MEMORY_USABLE, 0},
           {0x9000, 0x2000, HANDOFF_MEMORY_RESERVED, 0});
}

static void test_does_not_believe_free_memory_beyond_the_limit(void **state)
{
    const struct handoff_region raw[] = {
        {0x1000,                 UINT64_MAX, HANDOFF_MEMORY_USABLE,   0},
        {REGIONS_LIMIT,          0x1000,     HANDOFF_MEMORY_USABLE,   0},
        {REGIONS_LIMIT - 0x1000, 0x2000,     HANDOFF_MEMORY_USABLE,   0},
        {UINT64_MAX,             1,          HANDOFF_MEMORY_RESERVED, 0},
        {REGIONS_LIMIT - 0x3000, UINT64_MAX, HANDOFF_MEMORY_RESERVED, 0},
        {0x3000,                 0x1000,     HANDOFF_MEMORY_USABLE,   0},
    };

    EXPECT(raw, {0x3000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
           {REGIONS_LIMIT - 0x3000, 0x3000, HANDOFF_MEMORY_RESERVED, 0});
}

static void test_unknown_types_are_reserved(void **state)
{
    const struct handoff_region raw[] = {
        {0x1000, 0x1000, 0,                       0},
        {0x2000, 0x1000, HANDOFF_MEMORY_MMIO + 1, 0},
        {0x3000, 0x1000, UINT32_MAX,              0},
    };

    EXPECT(raw, {0x1000, 0x3000, HANDOFF_MEMORY_RESERVED, 0});
}

static void test_says_when_the_room_is_too_small(void **state)
{
    const struct handoff_region raw[] = {
        {0x1000, 0x9000, HANDOFF_MEMORY_USABLE, 0},
        {0x2000, 0x1000, HANDOFF_MEMORY_NVS,    0},
    };

    assert_int_equal(regions_normalise(raw, 2, edges, out, 2, &out_count), STATUS_NO_MEMORY);
    assert_int_equal(regions_normalise(raw, 2, edges, out, 3, &out_count), STATUS_OK);
    assert_int_equal(out_count, 3);
}

static void test_total(void **state)
{
    const struct handoff_region regions[] = {
        {0x1000, 0x1000, HANDOFF_MEMORY_USABLE, 0},
        {0x2000, 0x1000, HANDOFF_MEMORY_NVS,    0},
        {0x3000, 0x5000, HANDOFF_MEMORY_USABLE, 0},
    };

    assert_int_equal(regions_total(regions, 3, HANDOFF_MEMORY_USABLE), 0x6000);
    assert_int_equal(regions_total(regions, 3, HANDOFF_MEMORY_BAD), 0);
}

/* The page-by-page truth for random maps of many ranges. */
#define PAGES 2048

static unsigned strength(unsigned type)
{
    static const unsigned strengths[] = {
        [HANDOFF_MEMORY_USABLE] = 1, [HANDOFF_MEMORY_LOADER] = 2, [HANDOFF_MEMORY_ACPI] = 3,
        [HANDOFF_MEMORY_NVS] = 4,    [HANDOFF_MEMORY_MMIO] = 5,   [HANDOFF_MEMORY_RESERVED] = 6,
        [HANDOFF_MEMORY_BAD] = 7,
    };

    return type < ARRAY_SIZE(strengths) ? strengths[type] : 0;
}

static void check_against(const uint8_t *pages)
{
    static uint8_t seen[PAGES];
    uint64_t end = 0;

    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < out_count; i++) {
        assert_true(out[i].size > 0 && out[i].base >= end);
        if (i > 0 && out[i].base == end) {
            assert_int_not_equal(out[i].type, out[i - 1].type);
        }
        end = out[i].base + out[i].size;
        assert_true(end <= PAGES * PAGE_SIZE);
        memset(seen + out[i].base / PAGE_SIZE, (int)out[i].type, out[i].size / PAGE_SIZE);
    }
    assert_memory_equal(seen, pages, PAGES);
}

static void test_random_maps_match_page_by_page(void **state)
{
    static struct handoff_region raw[RANGES_MAX];
    static uint8_t pages[PAGES];
    static const size_t counts[] = {1, 2, 3, 10, 100, 1000, RANGES_MAX};
    unsigned seed = 7;

    for (size_t round = 0; round < 200; round++) {
        size_t count = counts[round % ARRAY_SIZE(counts)];
        memset(pages, 0, sizeof(pages));
        for (size_t i = 0; i < count; i++) {
            size_t page = (size_t)rand_r(&seed) % PAGES;
            size_t length = (size_t)rand_r(&seed) % 8;
            length = length < PAGES - page ? length : PAGES - page;
            unsigned type = 1 + (unsigned)rand_r(&seed) % HANDOFF_MEMORY_MMIO;
            raw[i] = (struct handoff_region){page * PAGE_SIZE, length * PAGE_SIZE, type, 0};
            for (size_t j = page; j < page + length; j++) {
                pages[j] = strength(type) > strength(pages[j]) ? (uint8_t)type : pages[j];
            }
        }
        assert_int_equal(regions_normalise(raw, count, edges, out, 2 * count, &out_count),
                         STATUS_OK);
        check_against(pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_sorts_and_joins_neighbours),
        cmocka_unit_test(test_keeps_gaps),
        cmocka_unit_test(test_stricter_type_wins_an_overlap),
        cmocka_unit_test(test_free_memory_shrinks_and_the_rest_grows_to_pages),
        cmocka_unit_test(test_does_not_believe_free_memory_beyond_the_limit),
        cmocka_unit_test(test_unknown_types_are_reserved),
        cmocka_unit_test(test_says_when_the_room_is_too_small),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_random_maps_match_page_by_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
