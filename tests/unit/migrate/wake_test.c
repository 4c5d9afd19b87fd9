/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs whose PFs owe an answer are told to run when it has come, each of them. */
#include "tests/unit/migrate/wake_unit.h"

static void test_both_wake(void **state)
{
    order(MIGRATE_QUIESCE, 0);
    order(MIGRATE_QUIESCE, 1);
    for (unsigned vm = 0; vm < VMS; vm++) {
        const struct migrate_order again = {
            .action = MIGRATE_QUIESCE, .count = 1, .vf = {{.index = vm}}};

        assert_int_equal(vfs[vm].device_state, DEVICE_ERROR);
        assert_int_equal(migrate_begin(&again), STATUS_STATE); /* not before it is awake */
    }
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    for (unsigned vm = 0; vm < VMS; vm++) {
        owed[vm + 1] = false;
        assert_int_equal(migrate_poll(), -1); /* now it is known */
        assert_int_equal(migrate_poll(), vm);
        migrate_act(&sets[vm], false);
        assert_int_equal(vfs[vm].device_state, DEVICE_RUNNING);
        assert_int_equal(services, LOOKS);
        assert_int_equal(pokes, vm + 1);
    }
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
}

/* Nothing is begun, however often CPU 0 looks. */
static void nothing_happens(void)
{
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(migrate_poll(), -1);
    }
}

/* The answer is there: VM 1 parks, and its VF is told to run. */
static void wake_up(void)
{
    nothing_happens();
    owed[2] = false;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), 1);
    migrate_act(&sets[1], false);
}

/* VM 1 is reset, as after any FLR of its VF. */
static void reset(void)
{
    vfs[1].device_state = DEVICE_RUNNING;
    vfs[1].control.level = VF_STATE_UNKNOWN;
}

/* A command that meets an FLR takes effect after it: the VF that was to be stopped then is, though
 * its reset has let it run. */
static void test_late_answer_after_flr(void **state)
{
    order(MIGRATE_QUIESCE, 1);
    reset();
    wake_up();
    assert_int_equal(vfs[1].control.level, VF_STATE_RUNNING);
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_int_equal(pokes, 1);
    nothing_happens();
}

/* Also if its VM was off when the answer came: it is told when the VM runs again. */
static void test_late_answer_while_off(void **state)
{
    order(MIGRATE_QUIESCE, 1);
    sets[1].bound = false;
    reset();
    owed[2] = false;
    nothing_happens();
    sets[1].bound = true;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), 1);
    migrate_act(&sets[1], false);
    assert_int_equal(vfs[1].control.level, VF_STATE_RUNNING);
    nothing_happens();
}

/* That it is told to run is not answered in time either, once and again. */
static void test_wake_times_out_twice(void **state)
{
    order(MIGRATE_QUIESCE, 1);
    late = 2;
    for (unsigned i = 0; i < 2; i++) {
        wake_up();
        assert_int_equal(vfs[1].device_state, DEVICE_ERROR);
        assert_int_equal(pokes, 0);
    }
    wake_up();
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_int_equal(pokes, 1);
    nothing_happens();
}

/* Its VM waits each time: not for ever. Then it is the operator's. */
static void test_wake_always_times_out(void **state)
{
    unsigned wakes = 0;

    order(MIGRATE_QUIESCE, 1);
    for (late = 1; vfs[1].asleep; late = 1, wakes++) {
        assert_in_range(wakes, 0, 20);
        wake_up();
    }
    owed[2] = false;
    nothing_happens();
    late = 0;
    order(MIGRATE_RUN, 1);
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_true(wakes > 2);
}

/* What is refused is not tried again by itself: it would be, each time that CPU 0 looks. */
static void test_wake_is_refused(void **state)
{
    order(MIGRATE_QUIESCE, 1);
    refusal = STATUS_DEVICE;
    wake_up();
    assert_int_equal(vfs[1].device_state, DEVICE_ERROR);
    nothing_happens();
    refusal = STATUS_OK;
    order(MIGRATE_RUN, 1);
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_int_equal(pokes, 1);
}

/* An order stays for its VM, whoever parks before. */
static void test_other_vm_parks(void **state)
{
    const struct migrate_order wanted = {
        .action = MIGRATE_QUIESCE, .count = 1, .vf = {{.index = 1}}};

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    migrate_act(&sets[0], false);
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_int_equal(migrate_begin(&wanted), STATUS_STATE);
    assert_int_equal(migrate_poll(), 1);
    migrate_act(&sets[1], false);
    assert_int_equal(vfs[1].device_state, DEVICE_ERROR);
    assert_int_equal(migrate_poll(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_wake, setup),
        cmocka_unit_test_setup(test_late_answer_after_flr, setup),
        cmocka_unit_test_setup(test_late_answer_while_off, setup),
        cmocka_unit_test_setup(test_wake_times_out_twice, setup),
        cmocka_unit_test_setup(test_wake_always_times_out, setup),
        cmocka_unit_test_setup(test_wake_is_refused, setup),
        cmocka_unit_test_setup(test_other_vm_parks, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
