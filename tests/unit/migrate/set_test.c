/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs of a VM that are moved together: the order of steps, and each step failing for each of them.
 */
#include "tests/unit/migrate/set_sim.h"

#include "tests/unit/fakes/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool moved(unsigned i)
{
    return set_sim.set.vf[i] == &set_sim.vfs[i + MEMBERS];
}

/* VF I of the VM works with the one device, and the other one is done with. */
static void check_one(unsigned i)
{
    unsigned has = moved(i) ? i + MEMBERS : i, other = moved(i) ? i : i + MEMBERS;

    assert_int_equal(set_sim.vfs[has].control.level, VF_STATE_RUNNING);
    assert_int_equal(set_sim.vfs[has].device_state, DEVICE_RUNNING);
    assert_false(set_sim.vfs[has].control.busy);
    assert_int_equal(set_sim.vfs[has].control.size, 0);
    assert_int_equal(set_sim.state_of[has], i + 1);
    assert_false(set_sim.retired[has] || set_sim.given_up[has] || set_sim.asleep[has]);
    assert_true(set_sim.retired[other]);
    assert_int_equal(set_sim.pokes[other], 0);
    assert_int_equal(set_sim.rebound[has], moved(i));
    assert_int_equal(set_sim.told[has], moved(i));
    assert_int_equal(set_sim.left[i], moved(i));
}

static void move_all(void)
{
    set_sim.fails = NOTHING;
    migrate_move(set_sim.sources, set_sim.count);
    for (unsigned i = 0; i < set_sim.count; i++) {
        assert_true(moved(i));
        assert_int_equal(set_sim.pokes[i + MEMBERS], 1);
        set_sim.pokes[i] = 0; /* of an attempt before */
        check_one(i);
    }
}

/* No VF waits for another: many take no longer than one, as all devices work at the same time. */
static void test_no_downtime_of_late_vfs(void **state)
{
    uint64_t alone = 0;

    for (unsigned n = 1; n <= MEMBERS; n++) {
        char text[64];

        set_begin(n);
        move_all();
        alone = n == 1 ? set_sim.now_ns : alone;
        assert_in_range(set_sim.now_ns, alone, alone + MIGRATE_LOOK_US * 1000 - 1);
        (void)format(text, sizeof(text),
                     "moved from VF 0000:00:00.0:%u to VF 0000:00:00.0:%u: ", n - 1,
                     n - 1 + MEMBERS);
        assert_true(fake_log_contains(text));
        assert_false(fake_log_contains("not moved"));
    }
}

/* A net VF keeps its address, also where its state need not have it. */
static void test_address_is_kept(void **state)
{
    for (unsigned kind = VF_STATE_PARTS; kind <= VF_STATE_2021; kind++) {
        for (uint16_t type = 1; type <= 2; type++) {
            set_begin(3);
            set_sim.type = type;
            set_control.kind = (enum vf_state_kind)kind;
            set_sim.vfs[0].pf->control.kind = (enum vf_state_kind)kind;
            move_all();
            for (unsigned i = 0; i < set_sim.count; i++) {
                assert_int_equal(set_sim.kept[i], kind == VF_STATE_PARTS && type == 1 ? i + 1 : 0);
            }
        }
    }
}

/* What is in a queue that the guest's driver does not use is nobody's index: it is not looked at
 * (legacy_indexes()), and not said. */
static void test_hardware_indexes_of_disabled_queues(void **state)
{
    set_begin(2);
    for (unsigned i = 0; i < set_sim.count; i++) {
        for (unsigned queue = 1; queue < LEGACY_QUEUES_MAX; queue += 50) {
            set_sim.vfs[i].function.state.queue[queue] = (struct legacy_queue){.size = 256};
            set_sim.shown[i].queue[queue] = (struct legacy_queue){.size = 256};
        }
    }
    move_all();
    assert_true(fake_log_contains("queue 0: used index"));
    assert_false(fake_log_contains("queue 1: "));
    assert_false(fake_log_contains("queue 51: "));
}

/* The device's state does not tell the VMM what is done: guest memory does, at the stop and after.
 */
static void test_used_index_from_guest_memory(void **state)
{
    static const uint16_t used = 0xfffe;

    set_begin(1);
    memcpy(&set_sim.rings[0][SET_RING_PAGE + 2], &used, sizeof(used));
    memcpy(&set_sim.rings[0][16 * 8 + 2], &(uint16_t){2}, sizeof(used));
    move_all();
    assert_true(fake_log_contains("queue 0: used index 65534 at the stop, now 65534 of 2 offered"));
    assert_int_equal(set_sim.rewound, used);
}

/* No driver has looked at it: no ring, no queue size, and nothing is notified. */
static void test_save_of_a_device_never_started(void **state)
{
    set_begin(2);
    for (unsigned i = 0; i < set_sim.count; i++) {
        set_sim.vfs[i].function.state.queue[0] = (struct legacy_queue){0};
        set_sim.shown[i].queue[0] = (struct legacy_queue){0};
    }
    move_all();
    assert_false(fake_log_contains("used index"));
}

/* Where something may fail before the point of no return. */
static const struct {
    const char *step;
    enum set_what what;
    bool target;
    bool alone; /* others run by then: see below */
    unsigned change;
    unsigned pokes; /* of each source: it was stopped */
} before[] = {
    {"prepare",     ADD,      true,  false, 0, 0},
    {"compare",     DESCRIBE, false, false, 0, 0},
    {"compare",     DESCRIBE, true,  false, 0, 0},
    {"compare",     DIFFER,   true,  false, 0, 0},
    {"quiesce",     LEVEL,    false, false, 0, 1},
    {"freeze",      LEVEL,    false, false, 1, 1},
    {"stop target", LEVEL,    true,  false, 0, 1},
    {"stop target", LEVEL,    true,  false, 1, 1},
    {"copy",        OPEN,     false, false, 0, 1},
    {"copy",        READ,     false, false, 0, 1},
    {"copy",        WRITE,    true,  false, 0, 1},
    {"exchange",    LOAD,     true,  false, 0, 1},
    {"exchange",    VECTORS,  true,  false, 0, 1},
    {"thaw target", LEVEL,    true,  false, 2, 1},
    {"run target",  LEVEL,    true,  true,  3, 1},
};

/* The targets are as new. */
static void reset_targets(void)
{
    for (unsigned i = 0; i < set_sim.count; i++) {
        struct vf *vf = &set_sim.vfs[i + MEMBERS];

        vf->control = (struct vf_state){.control = &set_control, .member = vf->control.member};
        vf->device_state = DEVICE_RUNNING;
        set_sim.state_of[i + MEMBERS] = 0;
    }
    memset(set_sim.retired, 0, sizeof(set_sim.retired));
}

/* All sources of N go on, whichever of OF fail, and the next move succeeds. */
static void fail_before(unsigned n, unsigned row, uint32_t of, bool blindly)
{
    char text[64];

    set_begin(n);
    set_sim.fails = before[row].what;
    set_sim.fails_of = of << (before[row].target ? MEMBERS : 0);
    set_sim.fails_change = before[row].change;
    set_sim.fails_blindly = blindly;
    migrate_move(set_sim.sources, set_sim.count);
    (void)format(text, sizeof(text), "'%s' failed", before[row].step);
    assert_true(fake_log_contains(text));
    for (unsigned i = 0; i < set_sim.count; i++) {
        assert_false(moved(i));
        if (blindly && (set_sim.fails_of >> i & 1) != 0) { /* its PF owes an answer, then it runs */
            assert_true(set_sim.asleep[i] && set_sim.retired[i + MEMBERS]);
            assert_false(set_sim.given_up[i]);
            continue;
        }
        check_one(i);
        assert_int_equal(set_sim.pokes[i], before[row].pokes);
    }
    if (!blindly) {
        reset_targets();
        move_all();
    }
}

static void test_all_stay(void **state)
{
    static const unsigned sizes[] = {1, 2, 3, MEMBERS};

    for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
        uint32_t all = (1U << sizes[k]) - 1;

        for (unsigned row = 0; row < ARRAY_SIZE(before); row++) {
            for (unsigned i = 0; i <= sizes[k]; i++) {
                uint32_t of = i == sizes[k] || before[row].alone ? all : 1U << i;

                fail_before(sizes[k], row, of, false);
                if (before[row].what == LEVEL) {
                    fail_before(sizes[k], row, of, true);
                }
            }
        }
    }
}

/* Others run by then: they have moved, and those that do not run go on with their sources. */
static void test_some_do_not_run(void **state)
{
    const unsigned n = 4;

    for (uint32_t of = 1; of < (1U << n) - 1; of++) {
        for (unsigned blindly = 0; blindly < 2; blindly++) {
            set_begin(n);
            set_sim.fails = LEVEL;
            set_sim.fails_of = of << MEMBERS;
            set_sim.fails_change = 3;
            set_sim.fails_blindly = blindly;
            migrate_move(set_sim.sources, set_sim.count);
            assert_true(fake_log_contains("'run target' failed"));
            for (unsigned i = 0; i < set_sim.count; i++) {
                assert_int_equal(moved(i), (of >> i & 1) == 0);
                check_one(i);
                assert_int_equal(set_sim.pokes[moved(i) ? i + MEMBERS : i], 1);
            }
        }
    }
}

/* It did run, and nobody knows what it did then: that VF is lost, and no other. */
static void test_one_ran_in_silence(void **state)
{
    const unsigned n = 4;

    for (unsigned lost = 0; lost < n; lost++) {
        set_begin(n);
        set_sim.fails = LEVEL;
        set_sim.fails_of = 1U << (lost + MEMBERS);
        set_sim.fails_change = 3;
        set_sim.fails_late = true;
        migrate_move(set_sim.sources, set_sim.count);
        for (unsigned i = 0; i < set_sim.count; i++) {
            assert_int_equal(moved(i), i != lost);
            if (i == lost) {
                assert_true(set_sim.given_up[i] && set_sim.retired[i + MEMBERS]);
            } else {
                check_one(i);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_downtime_of_late_vfs),
        cmocka_unit_test(test_hardware_indexes_of_disabled_queues),
        cmocka_unit_test(test_used_index_from_guest_memory),
        cmocka_unit_test(test_save_of_a_device_never_started),
        cmocka_unit_test(test_address_is_kept),
        cmocka_unit_test(test_all_stay),
        cmocka_unit_test(test_some_do_not_run),
        cmocka_unit_test(test_one_ran_in_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
