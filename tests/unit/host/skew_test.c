/* SPDX-License-Identifier: BSD-2-Clause */
/* Two CPUs compare their TSCs; here two threads, whose TSCs agree as far as anybody else can see.
 */
#include "vmm/host/smp.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SOON 100000000 /* ticks: far more than any round takes, far less than a wrong sum gives */

static void test_one_reading(void **state)
{
    assert_int_equal(skew_of(100, 100, 200), 0);
    assert_int_equal(skew_of(100, 150, 200), 0);
    assert_int_equal(skew_of(100, 200, 200), 0);
    assert_int_equal(skew_of(100, 99, 200), -1);
    assert_int_equal(skew_of(100, 0, 200), -100);
    assert_int_equal(skew_of(100, 201, 200), 1);
    assert_int_equal(skew_of(100, 1ULL << 62, 200), (1LL << 62) - 200);
}

static void *answer(void *skew)
{
    skew_answer(skew);
    return NULL;
}

static void test_turns(void **state)
{
    struct skew skew = {0};
    pthread_t other;
    int64_t ticks = -1;

    assert_int_equal(pthread_create(&other, NULL, answer, &skew), 0);
    assert_int_equal(skew_measure(&skew, &ticks), STATUS_OK);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(skew.answered, skew.asked);
    assert_true(ticks > -SOON && ticks < SOON);
}

/* A CPU of whose TSC 1,000,000,000 ticks are missing. */
static void *answer_late(void *argument)
{
    struct skew *skew = argument;

    for (uint32_t round = 1; round <= 16; round++) {
        while (__atomic_load_n(&skew->asked, __ATOMIC_ACQUIRE) != round) {
        }
        skew->there = __builtin_ia32_rdtsc() - 1000000000;
        __atomic_store_n(&skew->answered, round, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void test_behind(void **state)
{
    struct skew skew = {0};
    pthread_t other;
    int64_t ticks = 0;

    assert_int_equal(pthread_create(&other, NULL, answer_late, &skew), 0);
    assert_int_equal(skew_measure(&skew, &ticks), STATUS_OK);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_true(ticks < -1000000000 + SOON && ticks > -1000000000 - SOON);
}

static void test_silence(void **state)
{
    struct skew skew = {0};
    int64_t ticks = -1;

    assert_int_equal(skew_measure(&skew, &ticks), STATUS_DEVICE);
    assert_int_equal(ticks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_reading),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
