/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/memory_map.h"

#include "boot/regions.h"
#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WRITE_BACK (1ULL << 3)
#define STRIDE     48 /* what most firmware uses, larger than the descriptor */

struct descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t base;
    uint64_t virtual_base;
    uint64_t pages;
    uint64_t attributes;
    uint64_t unknown;
};

_Static_assert(sizeof(struct descriptor) == STRIDE, "as firmware lays it out");

static struct handoff_region ranges[64];
static size_t count;

static uint32_t type_of(uint32_t efi_type, uint64_t attributes)
{
    const struct descriptor map = {
        .type = efi_type, .base = 0x1000, .pages = 3, .attributes = attributes};

    assert_int_equal(memory_map_read(&map, sizeof(map), STRIDE, ranges, 1, &count), STATUS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ranges[0].base, 0x1000);
    assert_int_equal(ranges[0].size, 0x3000);
    return ranges[0].type;
}

static void test_types(void **state)
{
    /* UEFI 2.10, 7.2.1: EfiReservedMemoryType to EfiUnacceptedMemoryType. */
    static const uint32_t wanted[] = {
        HANDOFF_MEMORY_RESERVED, HANDOFF_MEMORY_LOADER,   HANDOFF_MEMORY_LOADER,
        HANDOFF_MEMORY_USABLE,   HANDOFF_MEMORY_USABLE,   HANDOFF_MEMORY_RESERVED,
        HANDOFF_MEMORY_RESERVED, HANDOFF_MEMORY_USABLE,   HANDOFF_MEMORY_BAD,
        HANDOFF_MEMORY_ACPI,     HANDOFF_MEMORY_NVS,      HANDOFF_MEMORY_MMIO,
        HANDOFF_MEMORY_MMIO,     HANDOFF_MEMORY_RESERVED, HANDOFF_MEMORY_RESERVED,
        HANDOFF_MEMORY_RESERVED,
    };

    for (uint32_t type = 0; type < ARRAY_SIZE(wanted); type++) {
        assert_int_equal(type_of(type, WRITE_BACK), wanted[type]);
    }
    assert_int_equal(type_of(16, WRITE_BACK), HANDOFF_MEMORY_RESERVED);
    assert_int_equal(type_of(0x80000000U, WRITE_BACK), HANDOFF_MEMORY_RESERVED);
    assert_int_equal(type_of(UINT32_MAX, WRITE_BACK), HANDOFF_MEMORY_RESERVED);
}

static void test_attributes(void **state)
{
    assert_int_equal(type_of(7, 0xf), HANDOFF_MEMORY_USABLE);
    assert_int_equal(type_of(7, 0x1), HANDOFF_MEMORY_RESERVED); /* uncacheable only */
    assert_int_equal(type_of(7, WRITE_BACK | 1ULL << 18), HANDOFF_MEMORY_RESERVED);
    assert_int_equal(type_of(7, WRITE_BACK | 1ULL << 63), HANDOFF_MEMORY_RESERVED);
    assert_int_equal(type_of(2, 0), HANDOFF_MEMORY_LOADER);
}

static void test_broken_sizes(void **state)
{
    static const uint8_t map[STRIDE * 3];

    assert_int_equal(memory_map_read(map, sizeof(map), 0, ranges, 64, &count), STATUS_INVALID);
    assert_int_equal(memory_map_read(map, sizeof(map), 39, ranges, 64, &count), STATUS_INVALID);
    assert_int_equal(memory_map_read(map, STRIDE + 1, STRIDE, ranges, 64, &count), STATUS_INVALID);
    assert_int_equal(memory_map_read(map, sizeof(map), STRIDE, ranges, 2, &count),
                     STATUS_NO_MEMORY);
    assert_int_equal(memory_map_read(map, 0, STRIDE, ranges, 0, &count), STATUS_OK);
    assert_int_equal(count, 0);
}

/* Page counts that overflow make no free memory and do not end anywhere low. */
static void test_page_counts_that_overflow(void **state)
{
    const struct descriptor map[] = {
        {.type = 7,                 .base = 0x100000, .pages = 1ULL << 52, .attributes = WRITE_BACK},
        {.type = 7,                         .base = 0x100000,                                 .pages = (1ULL << 52) + 1,            .attributes = WRITE_BACK},
        {.type = 7, .base = 0xfffffffffffff000,                 .pages = 2,                 .attributes = WRITE_BACK},
        {.type = 7,               .base = 0x1000,.pages = 16,.attributes = WRITE_BACK},
        {.type = 0,.base = 0x8000,            .pages = UINT64_MAX             },
    };
    struct region_edge edges[10];
    struct handoff_region regions[10];
    size_t region_count;

    assert_int_equal(memory_map_read(map, sizeof(map), STRIDE, ranges, 64, &count), STATUS_OK);
    assert_int_equal(regions_normalise(ranges, count, edges, regions, 10, &region_count),
                     STATUS_OK);
    assert_int_equal(region_count, 2);
    assert_int_equal(regions[0].base, 0x1000);
    assert_int_equal(regions[0].size, 0x7000);
    assert_int_equal(regions[0].type, HANDOFF_MEMORY_USABLE);
    assert_int_equal(regions[1].base, 0x8000);
    assert_int_equal(regions[1].size, REGIONS_LIMIT - 0x8000);
    assert_int_equal(regions[1].type, HANDOFF_MEMORY_RESERVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_broken_sizes),
        cmocka_unit_test(test_page_counts_that_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
