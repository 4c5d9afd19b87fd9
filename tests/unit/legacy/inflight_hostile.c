/* SPDX-License-Identifier: BSD-2-Clause */
/* What is found in the rings of a guest that writes what it likes. */
#include "tests/unit/legacy/guest.h"
#include "tests/unit/legacy/inflight_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_hostile_heads(void **state)
{
    ring_begin(8, 0);
    ring_kick(8);
    ring_kick(0xffff);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_begin(8, 0);
    ring_kick(2);
    ring_kick(2); /* twice at the same time */
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(0xfffffff2);
    ring_complete(9);
    assert_int_equal(ring_end(), STATUS_OK); /* by the indexes nothing is left */
    ring_kick(3);
    RING_CHECK_LEFT(3); /* nor of what was known before */
}

static void test_hostile_indexes(void **state)
{
    ring_begin(8, 0);
    for (unsigned i = 0; i < 4000; i++) {
        ring_avail()[1] = (uint16_t)(ring_avail()[1] + (i % 3 == 0 ? 8 : 30011 * i));
        ring_used()[1] = (uint16_t)(ring_used()[1] + (i % 5 == 0 ? 4 : 12007 * i));
        ring_look();
        assert_in_range(ring_inflight.queue[RING_QUEUE].known, 0, 8 * UINT8_MAX);
    }
    ring_avail()[1] = ring_used()[1];
    ring_look();
    ring_kick(1);
    RING_CHECK_LEFT(1);
}

/* A head so often that no count could hold it. */
static void test_hostile_count(void **state)
{
    ring_begin(64, 0);
    for (unsigned i = 0; i < 1000; i++) {
        ring_kick(5);
    }
    assert_int_equal(ring_inflight.queue[RING_QUEUE].known, UINT8_MAX);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
}

static void test_no_memory(void **state)
{
    ring_begin(8, 0);
    ring_function.state.queue[RING_QUEUE].pfn = FAKE_RAM / 4096; /* behind the end */
    legacy_inflight_restart(&ring_function, RING_QUEUE);
    ring_look();
    assert_int_equal(ring_end(), STATUS_OK);
    ring_begin(4096, 0); /* the used ring is behind it */
    ring_function.state.queue[RING_QUEUE].pfn = FAKE_RAM / 4096 - 16;
    ring_look();
    assert_int_equal(ring_end(), STATUS_OK);
    legacy_inflight_look(&ring_function, LEGACY_QUEUES_MAX);
    legacy_inflight_look(&ring_function, 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_heads),
        cmocka_unit_test(test_hostile_indexes),
        cmocka_unit_test(test_hostile_count),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
