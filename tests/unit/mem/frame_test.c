/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranges and frames, the second on top of the first. */
#include "tests/unit/fakes/log.h"
#include "vmm/base/ranges.h"
#include "vmm/host/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define M(n) ((uint64_t)(n) << 20)
#define G(n) ((uint64_t)(n) << 30)

static struct ranges set;

static int setup(void **state)
{
    set.count = 0;
    fake_log_clear();
    return 0;
}

static void test_neighbours_join(void **state)
{
    assert_int_equal(ranges_add(&set, 100, 10), STATUS_OK);
    assert_int_equal(ranges_add(&set, 120, 10), STATUS_OK);
    assert_int_equal(set.count, 2);
    assert_int_equal(ranges_add(&set, 110, 10), STATUS_OK);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.range[0].base, 100);
    assert_int_equal(set.range[0].size, 30);
    assert_int_equal(ranges_add(&set, 90, 10), STATUS_OK);
    assert_int_equal(ranges_add(&set, 130, 1), STATUS_OK);
    assert_int_equal(set.count, 1);
    assert_int_equal(ranges_total(&set), 41);
}

static void test_double_add(void **state)
{
    assert_int_equal(ranges_add(&set, 100, 10), STATUS_OK);
    assert_int_equal(ranges_add(&set, 109, 1), STATUS_CONFLICT);
    assert_int_equal(ranges_add(&set, 95, 6), STATUS_CONFLICT);
    assert_int_equal(ranges_add(&set, 90, 30), STATUS_CONFLICT);
    assert_int_equal(ranges_total(&set), 10);
}

static void test_take(void **state)
{
    uint64_t base;

    assert_int_equal(ranges_add(&set, 0x1800, 0x4000), STATUS_OK);
    assert_int_equal(ranges_take(&set, 0x1000, 0x1000, 0, UINT64_MAX, &base), STATUS_OK);
    assert_int_equal(base, 0x2000);
    assert_int_equal(set.count, 2);
    assert_int_equal(ranges_total(&set), 0x3000);
    assert_int_equal(ranges_take(&set, 0x1000, 0x1000, 0, 0x3800, &base), STATUS_NOT_FOUND);
    assert_int_equal(ranges_take(&set, 0x800, 0x800, 0x4000, UINT64_MAX, &base), STATUS_OK);
    assert_int_equal(base, 0x4000);
    assert_int_equal(ranges_take(&set, 0x10000, 1, 0, UINT64_MAX, &base), STATUS_NOT_FOUND);
}

static void test_full_table(void **state)
{
    uint64_t base;

    for (uint64_t i = 0; i < RANGES_MAX; i++) {
        assert_int_equal(ranges_add(&set, i * 10, 5), STATUS_OK);
    }
    assert_int_equal(ranges_add(&set, RANGES_MAX * 10, 5), STATUS_NO_MEMORY);
    assert_int_equal(ranges_remove(&set, 2, 1), STATUS_NO_MEMORY); /* would split */
    assert_int_equal(ranges_total(&set), RANGES_MAX * 5);
    assert_int_equal(ranges_take(&set, 5, 1, 0, UINT64_MAX, &base), STATUS_OK);
    assert_int_equal(ranges_add(&set, RANGES_MAX * 10, 5), STATUS_OK);
}

/* Against a plain array of flags: 200,000 random operations. */
#define MODEL_SIZE 2000U

static bool model[MODEL_SIZE];

static bool model_all(unsigned base, unsigned size, bool value)
{
    for (unsigned i = base; i < base + size; i++) {
        if (model[i] != value) {
            return false;
        }
    }
    return true;
}

static void model_check(void)
{
    unsigned at = 0;

    for (uint32_t i = 0; i < set.count; i++) {
        assert_true(i == 0 || set.range[i].base > set.range[i - 1].base + set.range[i - 1].size);
        assert_true(model_all(at, (unsigned)set.range[i].base - at, false));
        assert_true(model_all((unsigned)set.range[i].base, (unsigned)set.range[i].size, true));
        at = (unsigned)(set.range[i].base + set.range[i].size);
    }
    assert_true(model_all(at, MODEL_SIZE - at, false));
}

static void random_take(unsigned size)
{
    unsigned align = 1U << rand() % 5;
    uint64_t base;

    if (ranges_take(&set, size, align, 0, MODEL_SIZE, &base) == STATUS_OK) {
        assert_true(base % align == 0 && model_all((unsigned)base, size, true));
        memset(&model[base], false, size);
        return;
    }
    for (unsigned at = 0; at + size <= MODEL_SIZE; at += align) {
        assert_false(model_all(at, size, true));
    }
}

static void test_random(void **state)
{
    srand(1);
    memset(model, 0, sizeof(model));
    for (unsigned round = 0; round < 200000; round++) {
        unsigned size = 1 + (unsigned)rand() % 30, base = (unsigned)rand() % (MODEL_SIZE - size);

        switch (rand() % 3) {
        case 0:
            if (ranges_add(&set, base, size) == STATUS_OK) {
                assert_true(model_all(base, size, false));
                memset(&model[base], true, size);
            } else {
                assert_false(model_all(base, size, false));
            }
            break;
        case 1:
            assert_int_equal(ranges_remove(&set, base, size), STATUS_OK);
            memset(&model[base], false, size);
            break;
        default:
            random_take(size);
            break;
        }
        if (round % 100 == 0) {
            model_check();
        }
    }
    model_check();
}

static const struct handoff_region machine_map[] = {
    {0,       0xa0000, HANDOFF_MEMORY_USABLE,   0},
    {0xf0000, 0x10000, HANDOFF_MEMORY_RESERVED, 0},
    {M(1),    M(7),    HANDOFF_MEMORY_USABLE,   0},
    {M(8),    M(2),    HANDOFF_MEMORY_LOADER,   0},
    {M(10),   M(1014), HANDOFF_MEMORY_USABLE,   0},
    {G(4),    G(2),    HANDOFF_MEMORY_USABLE,   0},
};

static void test_frames(void **state)
{
    hpa_t a, b;

    assert_int_equal(frame_init(machine_map, ARRAY_SIZE(machine_map), 40), STATUS_OK);
    struct frame_counters counters = frame_count();

    assert_int_equal(counters.usable, 0xa0000 - PAGE_SIZE + M(7) + M(1014) + G(2));
    assert_int_equal(counters.ram, 0xa0000 + M(7) + M(2) + M(1014) + G(2));
    assert_int_equal(counters.largest, G(2));
    assert_int_equal(frame_allocate(PAGE_SIZE, PAGE_SIZE, FRAME_ANYWHERE, &a), STATUS_OK);
    assert_int_equal(a.raw, M(1)); /* the low megabyte is kept for those who need it */
    assert_int_equal(frame_allocate(PAGE_SIZE, PAGE_SIZE, FRAME_BELOW_1M, &b), STATUS_OK);
    assert_int_equal(b.raw, PAGE_SIZE); /* page 0 is never given out */
    assert_int_equal(frame_allocate(G(2), PAGE_SIZE_2M, FRAME_BELOW_4G, &b), STATUS_NO_MEMORY);
    assert_int_equal(frame_allocate(G(2), PAGE_SIZE_2M, FRAME_ANYWHERE, &b), STATUS_OK);
    assert_int_equal(b.raw, G(4));
    assert_int_equal(frame_free(a, PAGE_SIZE), STATUS_OK);
    assert_int_equal(frame_free(a, PAGE_SIZE), STATUS_CONFLICT);
    assert_int_equal(frame_free(hpa(M(8)), PAGE_SIZE), STATUS_RANGE);
    assert_int_equal(frame_free(hpa(M(1) + 5), PAGE_SIZE), STATUS_RANGE);
    assert_int_equal(frame_free(b, G(2)), STATUS_OK);
    assert_int_equal(frame_count().free, counters.usable - PAGE_SIZE);
}

static void test_odd_map(void **state)
{
    static const struct handoff_region odd[] = {
        {G(1),             M(16),     HANDOFF_MEMORY_USABLE,   0}, /* not in order */
        {M(16),            M(16),     HANDOFF_MEMORY_USABLE,   0},
        {M(24),            M(16),     HANDOFF_MEMORY_USABLE,   0}, /* overlaps the one before */
        {M(20),            M(1),      HANDOFF_MEMORY_RESERVED, 0}, /* within it, and in use */
        {0,                0,         HANDOFF_MEMORY_USABLE,   0}, /* empty */
        {UINT64_MAX - 100, 4096,      HANDOFF_MEMORY_USABLE,   0}, /* wraps */
        {1ULL << 40,       M(1),      HANDOFF_MEMORY_USABLE,   0}, /* beyond the CPU's reach */
        {M(64) + 5,        PAGE_SIZE, HANDOFF_MEMORY_USABLE,   0}, /* no whole page */
        {M(1000),          M(1),      77,                      0}, /* a type from the future */
    };

    assert_int_equal(frame_init(odd, ARRAY_SIZE(odd), 40), STATUS_OK);
    assert_int_equal(frame_count().usable, M(16) + M(24) - M(1));
    assert_true(fake_log_contains("beyond what the CPU can address"));
    assert_true(fake_log_contains("both free and in use"));
}

static void test_no_memory(void **state)
{
    static const struct handoff_region none[] = {
        {0, PAGE_SIZE, HANDOFF_MEMORY_USABLE, 0}
    };
    hpa_t base;

    assert_int_equal(frame_init(none, 1, 40), STATUS_NO_MEMORY);
    assert_int_equal(frame_init(NULL, 0, 40), STATUS_NO_MEMORY);
    assert_int_equal(frame_allocate(PAGE_SIZE, PAGE_SIZE, FRAME_ANYWHERE, &base), STATUS_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_neighbours_join, setup),
        cmocka_unit_test_setup(test_double_add, setup),
        cmocka_unit_test_setup(test_take, setup),
        cmocka_unit_test_setup(test_full_table, setup),
        cmocka_unit_test_setup(test_random, setup),
        cmocka_unit_test_setup(test_frames, setup),
        cmocka_unit_test_setup(test_odd_map, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
