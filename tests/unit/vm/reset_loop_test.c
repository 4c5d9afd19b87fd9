/* SPDX-License-Identifier: BSD-2-Clause */
/* When a VM that dies again and again stays off. */
#include "vmm/vm/reset_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000ULL

static struct reset_loop loop;
static uint64_t now, interrupts;

static int setup(void **state)
{
    loop = (struct reset_loop){0};
    now = interrupts = 0;
    return 0;
}

static bool die(void)
{
    now += 100 * MS;
    return reset_loop_goes_on(&loop, true, interrupts, now);
}

static void die_and_go_on(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        assert_true(die());
    }
}

static void test_dies_at_once(void **state)
{
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    assert_false(die());
    loop = (struct reset_loop){0}; /* started again: as before */
    now = 0;
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    assert_false(die());
}

static void test_an_interrupt_is_life(void **state)
{
    for (unsigned i = 0; i < 10 * RESET_LOOP_DEATHS_MAX; i++) {
        interrupts++;
        assert_true(die());
    }
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    interrupts++;
    die_and_go_on(RESET_LOOP_DEATHS_MAX);
    assert_false(die());
}

static void test_time_is_life(void **state)
{
    for (unsigned i = 0; i < 10 * RESET_LOOP_DEATHS_MAX; i++) {
        now += RESET_LOOP_LIFE_NS;
        assert_true(die());
    }
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    assert_false(die());
}

static void test_a_reset_asked_for_is_life(void **state)
{
    for (unsigned i = 0; i < 10 * RESET_LOOP_DEATHS_MAX; i++) {
        assert_true(reset_loop_goes_on(&loop, false, interrupts, now));
    }
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    assert_true(reset_loop_goes_on(&loop, false, interrupts, now));
    die_and_go_on(RESET_LOOP_DEATHS_MAX - 1);
    assert_false(die());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_dies_at_once, setup),
        cmocka_unit_test_setup(test_an_interrupt_is_life, setup),
        cmocka_unit_test_setup(test_time_is_life, setup),
        cmocka_unit_test_setup(test_a_reset_asked_for_is_life, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
