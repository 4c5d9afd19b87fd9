/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VF still has of its guest's requests, from looks at the rings. */
#include "tests/unit/legacy/inflight_ring.h"

#include "tests/unit/legacy/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_idle(void **state)
{
    ring_begin(8, 0);
    assert_int_equal(ring_end(), STATUS_OK);
    ring_kick(1);
    ring_complete(1);
    assert_int_equal(ring_end(), STATUS_OK);
    assert_int_equal(fake.marks, 0);
}

/* A and B are offered, B is done: the next device has to begin with A. */
static void test_out_of_order(void **state)
{
    ring_begin(8, 0);
    ring_kick(3);
    ring_kick(6);
    ring_complete(6);
    RING_CHECK_LEFT(3);
    assert_true(fake.marks > 0);
}

static void test_order_is_kept(void **state)
{
    ring_begin(8, 65533);
    for (unsigned head = 0; head < 6; head++) {
        ring_kick(head * 5 % 8);
    }
    ring_complete(2); /* the third and the first: 0 5 2 7 4 1 */
    ring_complete(0);
    RING_CHECK_LEFT(5, 7, 4, 1);
}

/* Passed by so many that the ring shows nothing of it any more, over the end of the indexes. */
static void test_passed_by_rings(void **state)
{
    for (unsigned rounds = 1; rounds < 70000; rounds = rounds * 5 + 3) {
        ring_begin(4, 65530);
        ring_kick(2);
        for (unsigned i = 0; i < rounds; i++) {
            ring_kick(i % 2);
            ring_complete(i % 2);
        }
        ring_kick(3);
        RING_CHECK_LEFT(2, 3);
    }
}

/* The same head comes and goes, all of it between two looks: it is known when it is done. */
static void test_heads_are_used_again(void **state)
{
    ring_begin(16, 0);
    ring_kick(0);
    ring_complete(0);
    ring_offer(0);
    ring_offer(9);
    RING_CHECK_LEFT(0, 9);
    for (unsigned i = 0; i < 3; i++) {
        ring_complete(0);
        ring_offer(0);
    }
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(0);
    ring_look();
    ring_kick(0);
    RING_CHECK_LEFT(9, 0);
    ring_begin(16, 0);
    ring_kick(7);
    ring_kick(0);
    for (unsigned i = 0; i < 6; i++) {
        ring_complete(0);
        ring_offer(0);
    }
    ring_complete(0);
    RING_CHECK_LEFT(7);
}

/* A ring that was in use before it was followed is known when all of that is done. */
static void test_known_again(void **state)
{
    ring_begin(8, 100);
    ring_avail()[1] += 2; /* 4 and 5, of which nothing was seen */
    legacy_inflight_restart(&ring_function, RING_QUEUE);
    ring_kick(1);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(4);
    ring_look();
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(5);
    RING_CHECK_LEFT(1);
}

/* More than half a ring between two looks: not known, until what was missed is done. */
static void test_overrun(void **state)
{
    ring_begin(8, 65534);
    ring_kick(7);
    for (unsigned i = 0; i < 5; i++) {
        ring_offer(i);
        ring_complete(i);
    }
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_kick(1);
    ring_complete(1);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(7);
    assert_int_equal(ring_end(), STATUS_OK);
    ring_kick(3);
    RING_CHECK_LEFT(3);
}

/* It was offered and passed, all between two looks; the driver may have begun to write over it. */
static void test_passed_unseen(void **state)
{
    ring_begin(8, 0);
    ring_offer(4);
    ring_offer(5);
    ring_complete(5);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(4);
    ring_kick(2);
    RING_CHECK_LEFT(2);
}

/* Entries that the driver has not told of yet are none. */
static void test_written_ahead(void **state)
{
    ring_begin(4, 0);
    ring_kick(0);
    ring_kick(1);
    for (unsigned i = 0; i < 2; i++) {
        ring_complete(i);
    }
    ring_kick(2);
    ring_avail()[2 + 3] = 0;
    ring_avail()[2 + 0] = 1;
    ring_avail()[2 + 1] = 3;
    RING_CHECK_LEFT(2);
    assert_int_equal(ring_avail()[2 + 3], 0);
    assert_int_equal(ring_avail()[2 + 0], 1);
    assert_int_equal(ring_avail()[2 + 1], 3);
}

/* As a network card's receive queue. */
static void test_full(void **state)
{
    uint16_t all[256];

    ring_begin(256, 65500);
    for (unsigned i = 0; i < 256; i++) {
        ring_offer(i);
        all[i] = (uint16_t)i;
    }
    ring_look();
    for (unsigned i = 0; i < 256; i++) {
        ring_complete(i);
        ring_kick(i);
    }
    assert_int_equal(ring_end(), STATUS_OK);
    ring_check(256, all);
}

static void test_sizes(void **state)
{
    for (unsigned of_size = 2; of_size <= 4096; of_size *= 2) {
        ring_begin(of_size, 65535);
        ring_kick(of_size - 1);
        ring_kick(0);
        ring_complete(0);
        RING_CHECK_LEFT((uint16_t)(of_size - 1));
    }
}

/* Without room for its heads, or with a size that no ring has, a queue must be idle. */
static void test_not_followed(void **state)
{
    static const uint16_t sizes[] = {3, 24, 100};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        ring_begin(8, 0);
        ring_function.state.queue[RING_QUEUE].size = sizes[i];
        ring_size = sizes[i];
        ring_kick(1);
        assert_int_equal(ring_end(), STATUS_CONFLICT);
    }
    ring_begin(8, 0);
    ring_inflight.taken = LEGACY_HEADS_MAX - 7;
    ring_inflight.queue[RING_QUEUE].size = 0;
    ring_kick(1);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_begin(8, 0);
    ring_function.setup.inflight = NULL;
    ring_kick(1);
    assert_int_equal(ring_end(), STATUS_CONFLICT);
    ring_complete(1);
    assert_int_equal(ring_end(), STATUS_OK);
}

/* The driver begins anew, with the same ring. */
static void test_restart(void **state)
{
    ring_begin(8, 5);
    ring_kick(1);
    ring_kick(2);
    ring_avail()[1] = ring_used()[1] = 0;
    legacy_inflight_restart(&ring_function, RING_QUEUE);
    ring_kick(6);
    RING_CHECK_LEFT(6);
    legacy_inflight_forget(&ring_function);
    ring_avail()[1] = ring_used()[1] = 7;
    ring_function.state.queue[RING_QUEUE].pfn = RING_PFN;
    legacy_inflight_restart(&ring_function, RING_QUEUE);
    ring_kick(2);
    RING_CHECK_LEFT(2);
}

static void test_poll(void **state)
{
    ring_begin(8, 0);
    ring_offer(3);
    legacy_inflight_poll(&ring_function);
    ring_offer(4);
    ring_complete(4);
    spinlock_acquire(&ring_function.lock);
    legacy_inflight_poll(&ring_function);
    spinlock_release(&ring_function.lock);
    RING_CHECK_LEFT(3);
    ring_function.rebuilding = true; /* where the ring is said to be is nonsense */
    ring_function.state.queue[RING_QUEUE].pfn = 0xa5a5a5a5;
    legacy_inflight_poll(&ring_function);
    ring_function.state.queue[RING_QUEUE].pfn = RING_PFN;
    ring_function.rebuilding = false;
    RING_CHECK_LEFT(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_passed_by_rings),
        cmocka_unit_test(test_heads_are_used_again),
        cmocka_unit_test(test_known_again),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_passed_unseen),
        cmocka_unit_test(test_written_ahead),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_followed),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_poll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
