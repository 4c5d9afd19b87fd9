/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two permission maps say, bit by bit: AMD APM 2, 15.10.1 and 15.11. */
#include "vmm/svm/svm.h"

#include "tests/unit/fakes/pages.h"
#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Those that VMRUN, VMLOAD and VMSAVE switch: 15.5.1 and 15.5.2. */
static const uint32_t passed[] = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082,
                                  0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};

static bool is_passed(uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(passed); i++) {
        if (passed[i] == msr) {
            return true;
        }
    }
    return false;
}

/* The place that the manual gives, counted apart from the code under test. */
static bool place(uint32_t msr, uint32_t *bit)
{
    static const uint32_t bases[] = {0, 0xc0000000, 0xc0010000};

    for (uint32_t i = 0; i < ARRAY_SIZE(bases); i++) {
        if (msr >= bases[i] && msr <= bases[i] + 0x1fff) {
            *bit = i * 0x800 * 8 + (msr - bases[i]) * 2;
            return true;
        }
    }
    return false;
}

static void test_places(void **state)
{
    static const uint32_t outside[] = {0x2000,     0x40000000, 0xbfffffff, 0xc0002000,
                                       0xc000ffff, 0xc0012000, UINT32_MAX};
    uint32_t byte;
    unsigned bit;

    for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
        assert_false(maps_find_msr(outside[i], &byte, &bit));
    }
    for (uint32_t base = 0;; base = base == 0 ? 0xc0000000 : 0xc0010000) {
        for (uint32_t msr = base; msr < base + 0x2000; msr++) {
            uint32_t wanted;

            assert_true(place(msr, &wanted));
            assert_true(maps_find_msr(msr, &byte, &bit));
            assert_int_equal(byte * 8 + bit, wanted);
        }
        if (base == 0xc0010000) {
            break;
        }
    }
}

static void test_msr_map(void **state)
{
    uint8_t map[MAPS_MSR_SIZE];
    unsigned open = 0;

    memset(map, 0x55, sizeof(map));
    maps_fill_msr(map);
    for (uint32_t bit = 0; bit < sizeof(map) * 8; bit++) {
        open += !(map[bit / 8] >> bit % 8 & 1);
    }
    assert_int_equal(open, 2 * ARRAY_SIZE(passed)); /* these, and not one more */
    for (uint32_t msr = 0xc0000000; msr < 0xc0002000; msr++) {
        uint32_t bit;

        assert_true(place(msr, &bit));
        assert_int_equal(map[bit / 8] >> bit % 8 & 3, is_passed(msr) ? 0 : 3);
        assert_true(place(msr - 0xc0000000, &bit));
        assert_int_equal(map[bit / 8] >> bit % 8 & 3, is_passed(msr - 0xc0000000) ? 0 : 3);
    }
}

static void test_io_map(void **state)
{
    uint8_t map[MAPS_IO_SIZE] = {0};

    maps_fill_io(map);
    for (unsigned i = 0; i < sizeof(map); i++) {
        assert_int_equal(map[i], 0xff);
    }
    assert_int_equal(sizeof(map), 3 * PAGE_SIZE); /* an access of 4 bytes at FFFFh looks behind */
}

static void test_shared_maps(void **state)
{
    fake_pages_reset(100);
    assert_int_equal(maps_init(), STATUS_OK);
    const uint8_t *io = pool_pointer(maps_io()), *msr = pool_pointer(maps_msr());

    assert_int_equal(maps_io().raw % PAGE_SIZE, 0);
    assert_int_equal(maps_msr().raw % PAGE_SIZE, 0);
    assert_int_equal(io[MAPS_IO_SIZE - 1], 0xff);
    assert_int_equal(msr[MAPS_MSR_SIZE - 1], 0xff);
    for (unsigned pages = 0; pages < 5; pages++) {
        fake_pages_reset(pages);
        assert_int_equal(maps_init(), STATUS_NO_MEMORY);
    }
    fake_pages_reset(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_msr_map),
        cmocka_unit_test(test_io_map),
        cmocka_unit_test(test_shared_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
