/* SPDX-License-Identifier: BSD-2-Clause */
/* A VF that is lost goes to its standby, as CPU 0 begins it. */
#include "tests/unit/migrate/wake_unit.h"

static struct legacy_inflight inflight;

static int setup_standby(void **state)
{
    int failed = setup(state);

    configs[0].standby = (struct config_vf){.index = STANDBY, .line = 1};
    sets[0].inflight = &inflight;
    vfs[0].function.standby = true;
    return failed;
}

/* A guest may reset itself as often as it likes, and lose its VF each time. */
static void only_limited(void)
{
    assert_int_equal(unlimited, 0);
    assert_int_not_equal(limited, 0);
    assert_null(cpu_current()->guest_log);
}

/* The VF is lost: the VM is moved, and once. */
static void move_once(void)
{
    assert_int_equal(migrate_poll(), -1); /* the standby's FLR begins */
    assert_int_equal(opened, 1);
    assert_int_equal(migrate_poll(), 0);
    migrate_act(&sets[0], false);
    assert_int_equal(moved, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(migrate_poll(), -1);
    }
    assert_int_equal(opened + moved + closed, 3);
    assert_false(forsaken);
    only_limited();
}

static void test_lost(void **state)
{
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(opened, 0);
    assert_int_equal(followed, 1);
    vfs[0].function.state.lost = true;
    move_once();
    assert_int_equal(followed, 6); /* and while its VM is moved, and on the standby */
}

/* Nobody has touched its registers. */
static void test_silent(void **state)
{
    silent = true;
    move_once();
    assert_int_equal(tries, 1);
}

/* A vCPU has its registers for some time; then it is lost, even if it is there again. */
static void test_silent_and_busy(void **state)
{
    silent = true;
    busy = 2;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(opened, 0);
    move_once();
    assert_int_equal(tries, 3);
}

static void test_lost_asleep(void **state)
{
    migrate_wake_later(&vfs[0]);
    vfs[0].device_state = DEVICE_ERROR;
    vfs[0].control.member = 1;
    vfs[0].function.state.lost = true;
    owed[1] = true;
    move_once();
    owed[1] = false;
}

/* The guest must not wait for what does not come. */
static void given_up(void)
{
    assert_true(forsaken);
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(moved, 0);
    only_limited();
}

static void test_standby_is_taken(void **state)
{
    vfs[0].function.state.lost = true;
    taken = true;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(opened, 0);
    given_up();
}

static void test_standby_is_broken(void **state)
{
    vfs[0].function.state.lost = true;
    reset_fails = true;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(closed, 1);
    given_up();
}

/* A VM that is off, or that has none, is left alone. */
static void test_no_standby(void **state)
{
    vfs[0].function.state.lost = true;
    silent = true;
    sets[0].bound = false;
    assert_int_equal(migrate_poll(), -1);
    sets[0].bound = true;
    vfs[0].function.standby = false;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(opened, 0);
    assert_false(forsaken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lost, setup_standby),
        cmocka_unit_test_setup(test_silent, setup_standby),
        cmocka_unit_test_setup(test_silent_and_busy, setup_standby),
        cmocka_unit_test_setup(test_lost_asleep, setup_standby),
        cmocka_unit_test_setup(test_standby_is_taken, setup_standby),
        cmocka_unit_test_setup(test_standby_is_broken, setup_standby),
        cmocka_unit_test_setup(test_no_standby, setup_standby),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
