/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_memory.h"

#include "tests/unit/multiboot2/build.h"
#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t map[][3] = {
    {0,           0x9fc00,    1},
    {0xf0000,     0x10000,    2},
    {0x100000,    0xf00000,   1},
    {0x1000000,   0x100000,   2}, /* the ISA hole */
    {0x1100000,   0x2000000,  1},
    {0x100000000, 0x40000000, 1},
};

static struct information info;
static struct memory memory;

static int set_up(void **state)
{
    size_t size;

    build_start();
    build_memory(map, ARRAY_SIZE(map));
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_int_equal(memory_init(&memory, &info), STATUS_OK);
    return 0;
}

/* The type of the page at ADDRESS; 0: in no region. */
static uint32_t type_at(uint64_t address)
{
    for (size_t i = 0; i < memory.region_count; i++) {
        if (address >= memory.regions[i].base &&
            address - memory.regions[i].base < memory.regions[i].size) {
            return memory.regions[i].type;
        }
    }
    return 0;
}

static void test_claim(void **state)
{
    assert_int_equal(type_at(0x100000), HANDOFF_MEMORY_USABLE);
    assert_int_equal(memory_claim(&memory, 0x100000, 0x1001), STATUS_OK);
    assert_int_equal(type_at(0x100000), HANDOFF_MEMORY_LOADER);
    assert_int_equal(type_at(0x101fff), HANDOFF_MEMORY_LOADER);
    assert_int_equal(type_at(0x102000), HANDOFF_MEMORY_USABLE);
    assert_int_equal(memory_claim(&memory, 0x102001, 0), STATUS_OK);
    assert_int_equal(type_at(0x102000), HANDOFF_MEMORY_USABLE);
}

static void test_claim_what_is_not_free(void **state)
{
    size_t before = memory.range_count;

    assert_int_equal(memory_claim(&memory, 0x200000, 0x2000), STATUS_OK);
    assert_int_equal(memory_claim(&memory, 0x201fff, 1), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0x1ff000, 0x1001), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0x1ff000, 0x4000), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0x9f000, 0x100), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0xfff000, 0x1001), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0xf0000000, 0x1000), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, UINT64_MAX, 1), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, 0x1000, UINT64_MAX), STATUS_CONFLICT);
    assert_int_equal(memory_claim(&memory, REGIONS_LIMIT, 0x1000), STATUS_CONFLICT);
    assert_int_equal(memory.range_count, before + 1);
    assert_int_equal(memory_claim(&memory, 0x202000, 0x1000), STATUS_OK);
}

static void test_take(void **state)
{
    uint64_t base;

    assert_int_equal(memory_take(&memory, 0x5001, &base), STATUS_OK);
    assert_int_equal(base, 0x100000);
    assert_int_equal(memory_take(&memory, 0xefa000, &base), STATUS_OK);
    assert_int_equal(base, 0x106000);
    /* The rest of that region is full: what is next lies above the hole. */
    assert_int_equal(memory_take(&memory, 1, &base), STATUS_OK);
    assert_int_equal(base, 0x1100000);
    assert_int_equal(memory_take(&memory, 0x2000000, &base), STATUS_NO_MEMORY);
    assert_int_equal(memory_take(&memory, 0x1fff000, &base), STATUS_OK);
    /* Neither the first MiB nor what is above 4 GiB. */
    assert_int_equal(memory_take(&memory, 1, &base), STATUS_NO_MEMORY);
    assert_int_equal(type_at(0x1000), HANDOFF_MEMORY_USABLE);
    assert_int_equal(type_at(0x100000000), HANDOFF_MEMORY_USABLE);
}

static void test_take_across_4g(void **state)
{
    static const uint64_t wide[][3] = {
        {0xfffff000, 0x10000, 1}
    };
    size_t size;
    uint64_t base;

    build_start();
    build_memory(wide, 1);
    uint8_t *bytes = build_end(&size);
    assert_int_equal(information_parse(bytes, size, &info), STATUS_OK);
    assert_int_equal(memory_init(&memory, &info), STATUS_OK);
    assert_int_equal(memory_take(&memory, 0x1001, &base), STATUS_NO_MEMORY);
    assert_int_equal(memory_take(&memory, UINT64_MAX, &base), STATUS_NO_MEMORY);
    assert_int_equal(memory_take(&memory, 0x1000, &base), STATUS_OK);
    assert_int_equal(base, 0xfffff000);
}

static void test_too_many_claims(void **state)
{
    uint64_t base = 0x100000;
    size_t left = MEMORY_RANGES_MAX - memory.range_count;

    for (size_t i = 0; i < left; i++, base += 0x2000) {
        assert_int_equal(memory_claim(&memory, base, 1), STATUS_OK);
    }
    assert_int_equal(memory_claim(&memory, base, 1), STATUS_NO_MEMORY);
    assert_int_equal(type_at(base), HANDOFF_MEMORY_USABLE);
}

static void test_no_map(void **state)
{
    info.memory_count = 0;
    assert_int_equal(memory_init(&memory, &info), STATUS_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_claim, set_up),
        cmocka_unit_test_setup(test_claim_what_is_not_free, set_up),
        cmocka_unit_test_setup(test_take, set_up),
        cmocka_unit_test_setup(test_take_across_4g, set_up),
        cmocka_unit_test_setup(test_too_many_claims, set_up),
        cmocka_unit_test_setup(test_no_map, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
