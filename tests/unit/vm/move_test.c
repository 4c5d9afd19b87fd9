/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM leaves a host and comes to one, on threads: each order, each failure of each part, and what
 * then runs. There is one VM, which is the source, is let go, and awaits itself.
 */
#include "tests/unit/vm/life_move.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIP 0x401000ULL

static int start(void **state)
{
    make_all_well();
    life_move_equip(mover);
    assert_int_equal(vm_start(mover), STATUS_OK);
    await_guests();
    for (unsigned i = 0; i < VCPUS; i++) {
        mover->vcpu[i]->rip = RIP + i;
    }
    return 0;
}

static int off(void **state)
{
    if (vm_state(mover) != VM_STOPPED) {
        (void)vm_stop(mover, NULL);
    }
    await_off();
    assert_int_equal(life.failures, 0);
    assert_false(life_move.dirty || life_move.tracked);
    assert_string_equal(vm_move_state_name(mover), "off");
    return 0;
}

static enum status await_order(void)
{
    enum status status;

    while (!vm_move_done(mover, &status)) {
        rest();
    }
    return status;
}

static enum status order(enum vm_move_order which, uint32_t vf)
{
    enum status status = vm_move_begin(mover, which, vf);

    return status == STATUS_OK ? await_order() : status;
}

/* What the operator sees; and a VM that is parked for a move can only be stopped. */
static void expect(const char *state)
{
    assert_string_equal(vm_move_state_name(mover), state);
    if (vm_state(mover) == VM_PAUSED) {
        assert_int_equal(load(&life.in_guest), 0);
        assert_true(life.held[mover->index] && mover->frozen);
        assert_int_equal(vm_request(mover, VM_REQUEST_RESUME), STATUS_STATE);
        assert_int_equal(vm_reset(mover, "test"), STATUS_STATE);
        assert_int_equal(vm_request(mover, VM_REQUEST_CHECKPOINT), STATUS_STATE);
        assert_false(vm_touch(mover));
    }
}

/* ---- All goes well ---- */

/* Bytes of the source, as the service VM of the other host would have them. */
static uint8_t stream[MOVE_STREAM], records[MOVE_VFS];
static uint32_t stream_size;

static void save_all(void)
{
    const uint8_t *bytes;
    uint32_t size;

    assert_int_equal(order(VM_MOVE_STOP, 0), STATUS_OK);
    expect("moving");
    bytes = vm_move_data(mover, VM_MOVE_WHOLE, &stream_size);
    assert_non_null(bytes);
    memcpy(stream, bytes, stream_size);
    for (uint32_t i = 0; i < MOVE_VFS; i++) {
        assert_null(vm_move_data(mover, i, &size));
        assert_int_equal(order(VM_MOVE_SAVE_VF, i), STATUS_OK);
        bytes = vm_move_data(mover, i, &size);
        assert_non_null(bytes);
        assert_int_equal(size, 1);
        records[i] = *bytes;
        assert_int_equal(order(VM_MOVE_SAVE_VF, 1 - i), STATUS_STATE); /* the memory is taken */
        vm_move_data_clear(mover, i);
    }
    assert_int_equal(order(VM_MOVE_SAVE_VF, MOVE_VFS), STATUS_NOT_FOUND);
}

static void wait_for_state(void)
{
    assert_int_equal(vm_move_await(mover), STATUS_OK);
    while (vm_state(mover) != VM_PAUSED) {
        rest();
    }
    expect("incoming");
    assert_null(vm_move_data(mover, VM_MOVE_WHOLE, &(uint32_t){0}));
}

static void bring_all(void)
{
    for (uint32_t i = 0; i < MOVE_VFS; i++) {
        assert_int_equal(vm_move_data_add(mover, i, &records[i], 1), STATUS_OK);
        assert_int_equal(order(VM_MOVE_LOAD_VF, i), STATUS_OK);
    }
    for (uint32_t i = 0; i < stream_size; i++) { /* byte by byte */
        assert_int_equal(vm_move_data_add(mover, VM_MOVE_WHOLE, &stream[i], 1), STATUS_OK);
    }
    assert_int_equal(vm_move_data_add(mover, VM_MOVE_WHOLE, stream, MOVE_STREAM), STATUS_RANGE);
}

static void let_go(void)
{
    assert_int_equal(vm_move_hand_over(mover), STATUS_OK);
    expect("handed-over");
    assert_int_equal(vm_move_confirm(mover), STATUS_OK);
    await_off();
}

static void test_there_and_back(void **state)
{
    char text[VM_MOVE_TEXT_MAX];

    for (unsigned round = 0; round < 20; round++) {
        assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
        expect("moving");
        assert_true(vm_move_is_under_way(mover));
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(order(VM_MOVE_REPORT, 0), STATUS_OK);
        }
        assert_int_equal(vm_move_vf_text(mover, 0, 1, text), STATUS_OK);
        assert_string_equal(text, "as it is");
        save_all();
        assert_int_equal(order(VM_MOVE_REPORT, 0), STATUS_OK);
        let_go();
        assert_int_equal(vm_move_vf_text(mover, 0, 1, text), STATUS_STATE);
        for (unsigned i = 0; i < VCPUS; i++) {
            mover->vcpu[i]->rip = 0;
        }
        wait_for_state();
        assert_int_equal(vm_move_vf_text(mover, 0, 1, text), STATUS_OK);
        assert_string_equal(text, "as a driver finds it");
        bring_all();
        assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
        expect("ready");
        assert_int_equal(order(VM_MOVE_RUN, 0), STATUS_OK);
        await_guests();
        assert_false(vm_move_is_under_way(mover));
        for (unsigned i = 0; i < VCPUS; i++) {
            assert_int_equal(mover->vcpu[i]->rip, RIP + i);
        }
    }
    assert_int_equal(life_move.news, 20);
    assert_true(load(&life_move.ended) >= 20 * 8);
}

/* Virtual time goes on; the host's TSC and its rate are others, the guest's TSC is as it was. */
static void test_time(void **state)
{
    struct vm_clock clock = {.ns = 5000000000ULL, .tsc = 12345678901ULL};

    save_all();
    let_go();
    memcpy(stream + VCPUS * sizeof(uint64_t), &clock, sizeof(clock));
    wait_for_state();
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(mover->clock.ns, clock.ns);
    assert_int_equal(vm_now(mover), clock.ns);
    assert_int_equal(mover->clock.tsc, clock.ns * 3); /* life's CPUs have 3 GHz */
    for (unsigned i = 0; i < VCPUS; i++) {
        assert_int_equal(mover->vcpu[i]->saved.tsc_offset + mover->clock.tsc, i + clock.tsc);
    }
    assert_int_equal(order(VM_MOVE_RUN, 0), STATUS_OK);
    assert_true(vm_now(mover) >= clock.ns);
}

/* ---- What fails ---- */

/* The source runs on, and the next attempt succeeds. */
static void expect_source_runs(void)
{
    memset(life_move.status, STATUS_OK, sizeof(life_move.status));
    await_guests();
    assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
    save_all();
    assert_int_equal(order(VM_MOVE_GO_ON, 0), STATUS_OK);
    await_guests();
    assert_int_equal(order(VM_MOVE_UNTRACK, 0), STATUS_OK);
    assert_false(life_move.dirty || life_move.tracked);
    expect("running");
}

static void test_source_failures(void **state)
{
    static const struct {
        enum move_part part;
        enum vm_move_order order;
        const char *state; /* after it */
    } rows[] = {
        {PART_CLAIM,   VM_MOVE_TRACK,   "running"}, /* the operator is at it just now */
        {PART_DIRTY,   VM_MOVE_TRACK,   "running"},
        {PART_TRACK,   VM_MOVE_TRACK,   "running"},
        {PART_REPORT,  VM_MOVE_REPORT,  "moving" },
        {PART_STOP,    VM_MOVE_STOP,    "moving" },
        {PART_SAVE,    VM_MOVE_STOP,    "moving" },
        {PART_SAVE_VF, VM_MOVE_SAVE_VF, "moving" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        bool stopped = rows[i].order == VM_MOVE_SAVE_VF;

        life_move.status[rows[i].part] = STATUS_DEVICE;
        if (rows[i].order != VM_MOVE_TRACK) {
            assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
        }
        if (stopped) {
            assert_int_equal(order(VM_MOVE_STOP, 0), STATUS_OK);
        }
        assert_int_equal(order(rows[i].order, 0), rows[i].part == PART_SAVE    ? STATUS_NO_MEMORY
                                                  : rows[i].part == PART_CLAIM ? STATUS_STATE
                                                                               : STATUS_DEVICE);
        expect(rows[i].state);
        if (stopped) {
            vm_move_data_clear(mover, 0);
            assert_int_equal(order(VM_MOVE_GO_ON, 0), STATUS_OK);
        }
        await_guests();
        if (rows[i].order != VM_MOVE_TRACK) {
            assert_int_equal(order(VM_MOVE_UNTRACK, 0), STATUS_OK);
        }
        expect_source_runs();
    }
}

/* Whatever could not be loaded is discarded, and what comes then is. */
static void test_target_failures(void **state)
{
    static const enum move_part parts[] = {PART_LOAD_VF, PART_LOAD, PART_SETTLE};

    save_all();
    let_go();
    wait_for_state();
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i] == PART_LOAD_VF) {
            assert_int_equal(vm_move_data_add(mover, 0, &records[0], 1), STATUS_OK);
        } else {
            bring_all();
        }
        life_move.status[parts[i]] = STATUS_INVALID;
        assert_int_equal(order(parts[i] == PART_LOAD_VF ? VM_MOVE_LOAD_VF : VM_MOVE_LOAD, 0),
                         STATUS_INVALID);
        expect("incoming");
        life_move.status[parts[i]] = STATUS_OK;
        assert_int_equal(vm_move_data_add(mover, VM_MOVE_WHOLE, stream, 1), STATUS_STATE);
        assert_int_equal(order(VM_MOVE_LOAD_VF, 0), STATUS_STATE);
        assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_STATE);
        assert_int_equal(order(VM_MOVE_RUN, 0), STATUS_STATE);
        assert_int_equal(order(VM_MOVE_DISCARD, 0), STATUS_OK);
        expect("incoming");
    }
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_STATE); /* the VFs come first */
    assert_int_equal(order(VM_MOVE_DISCARD, 0), STATUS_OK);
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(order(VM_MOVE_DISCARD, 0), STATUS_OK); /* ready is not run yet */
    bring_all();
    vm_move_data_clear(mover, VM_MOVE_WHOLE);
    assert_int_equal(vm_move_data_add(mover, VM_MOVE_WHOLE, stream, stream_size), STATUS_OK);
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(order(VM_MOVE_RUN, 0), STATUS_OK);
    await_guests();
}

/* One that cannot be made new is off, and can be awaited again. */
static void test_discard_failure(void **state)
{
    save_all();
    let_go();
    wait_for_state();
    life.init_status = STATUS_NO_MEMORY;
    assert_int_equal(order(VM_MOVE_DISCARD, 0), STATUS_NO_MEMORY);
    await_off();
    life.init_status = STATUS_OK;
    wait_for_state();
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
}

/* ---- Who may order what ---- */

/* Each order in each state in which it makes no sense. */
static void test_refusals(void **state)
{
    static const enum vm_move_order all[] = {
        VM_MOVE_TRACK, VM_MOVE_UNTRACK, VM_MOVE_REPORT, VM_MOVE_STOP, VM_MOVE_SAVE_VF,
        VM_MOVE_GO_ON, VM_MOVE_LOAD_VF, VM_MOVE_LOAD,   VM_MOVE_RUN,  VM_MOVE_DISCARD,
    };
    static const struct {
        const char *state;
        uint32_t makes_sense; /* bits, as in ALL */
    } rows[] = {
        {"running",     0x009},
        {"paused",      0x009},
        {"moving",      0x030}, /* and not tracked */
        {"handed-over", 0x000},
        {"off",         0x000},
        {"incoming",    0x2c0},
        {"ready",       0x300},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *name = rows[i].state;

        if (strcmp(name, "paused") == 0) {
            assert_int_equal(vm_request(mover, VM_REQUEST_PAUSE), STATUS_OK);
        } else if (strcmp(name, "moving") == 0) {
            assert_int_equal(vm_request(mover, VM_REQUEST_RESUME), STATUS_OK);
            await_guests();
            save_all();
        } else if (strcmp(name, "handed-over") == 0) {
            assert_int_equal(vm_move_confirm(mover), STATUS_STATE);
            assert_int_equal(vm_move_hand_over(mover), STATUS_OK);
            assert_int_equal(vm_move_hand_over(mover), STATUS_STATE);
        } else if (strcmp(name, "off") == 0) {
            assert_int_equal(vm_move_confirm(mover), STATUS_OK);
            await_off();
        } else if (strcmp(name, "incoming") == 0) {
            wait_for_state();
            assert_int_equal(vm_move_await(mover), STATUS_STATE);
        } else if (strcmp(name, "ready") == 0) {
            bring_all();
            assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
            assert_int_equal(vm_move_hand_over(mover), STATUS_STATE);
        }
        while (strcmp(vm_move_state_name(mover), name) != 0) {
            rest();
        }
        for (unsigned k = 0; k < ARRAY_SIZE(all); k++) {
            if (!(rows[i].makes_sense >> k & 1)) {
                assert_int_equal(order(all[k], 0), STATUS_STATE);
                assert_string_equal(vm_move_state_name(mover), name);
            }
        }
    }
    life.config.vms[0].incoming = 0;
    assert_int_equal(vm_stop(mover, NULL), STATUS_OK);
    await_off();
    assert_int_equal(vm_move_await(mover), STATUS_UNSUPPORTED);
    life.config.vms[0].incoming = 1;
}

/* VFs that cannot be saved, or are lost: before anything is touched. */
static void test_vfs_that_cannot(void **state)
{
    static const enum status why[] = {STATUS_UNSUPPORTED, STATUS_DEVICE, STATUS_STATE};

    for (unsigned i = 0; i < ARRAY_SIZE(why); i++) {
        life_move.check = why[i];
        assert_int_equal(order(VM_MOVE_TRACK, 0), why[i]);
        assert_int_equal(order(VM_MOVE_STOP, 0), why[i]);
        expect("running");
    }
    life_move.check = STATUS_OK;
    expect_source_runs();
}

/* ---- The operator ---- */

static void test_resolve(void **state)
{
    assert_int_equal(vm_move_resolve(mover, true), STATUS_STATE);
    assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
    save_all();
    assert_int_equal(vm_move_resolve(mover, true), STATUS_STATE); /* not handed over: cancel it */
    assert_int_equal(vm_move_hand_over(mover), STATUS_OK);
    assert_int_equal(vm_move_resolve(mover, true), STATUS_OK);
    assert_int_equal(await_order(), STATUS_OK);
    await_guests();
    assert_string_equal(vm_move_state_name(mover), "running"); /* the move is over */
    save_all();
    assert_int_equal(vm_move_hand_over(mover), STATUS_OK);
    assert_int_equal(vm_move_resolve(mover, false), STATUS_OK);
    await_off();
    wait_for_state();
    assert_int_equal(vm_move_resolve(mover, true), STATUS_STATE);
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(vm_move_resolve(mover, false), STATUS_OK);
    assert_int_equal(await_order(), STATUS_OK);
    expect("incoming");
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(vm_move_resolve(mover, true), STATUS_OK);
    assert_int_equal(await_order(), STATUS_OK);
    await_guests();
}

static void expect_paused(void)
{
    while (strcmp(vm_move_state_name(mover), "paused") != 0) {
        rest();
    }
    assert_int_equal(load(&life.in_guest), 0);
    assert_true(life.held[mover->index] && mover->frozen && life_move.vfs == VFS_RUN);
}

/* What the operator has paused runs on no host before he resumes it. */
static void test_paused(void **state)
{
    assert_int_equal(vm_request(mover, VM_REQUEST_PAUSE), STATUS_OK);
    expect_paused();
    assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
    save_all();
    assert_int_equal(order(VM_MOVE_GO_ON, 0), STATUS_OK);
    expect_paused();
    save_all();
    assert_int_equal(vm_move_hand_over(mover), STATUS_OK);
    assert_int_equal(vm_move_resolve(mover, true), STATUS_OK);
    assert_int_equal(await_order(), STATUS_OK);
    expect_paused();
    save_all();
    let_go();
    wait_for_state();
    bring_all();
    assert_int_equal(order(VM_MOVE_LOAD, 0), STATUS_OK);
    assert_int_equal(order(VM_MOVE_RUN, 0), STATUS_OK);
    expect_paused();
    assert_int_equal(vm_request(mover, VM_REQUEST_RESUME), STATUS_OK);
    await_guests();
    expect_source_runs();
}

/* A VM that is stopped ends its move, whatever is under way. */
static void test_stop_at_any_time(void **state)
{
    for (unsigned i = 0; i < 60; i++) {
        enum status status;
        unsigned ended = load(&life_move.ended);

        assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
        if (i % 3 != 0) {
            assert_int_equal(order(VM_MOVE_STOP, 0), STATUS_OK);
        }
        status = vm_move_begin(mover, i % 3 == 0 ? VM_MOVE_STOP : VM_MOVE_REPORT, 0);
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(vm_stop(mover, NULL), STATUS_OK);
        await_off();
        status = await_order();
        assert_true(status == STATUS_OK || status == STATUS_STATE);
        assert_int_equal(load(&life_move.ended), ended + (i % 3 == 0 ? 2 : 3));
        assert_false(life_move.dirty || life_move.tracked || vm_move_is_under_way(mover));
        assert_int_equal(start(NULL), 0);
    }
}

/* The guest resets its machine all the time: no order is lost. */
static void test_resets(void **state)
{
    life.own_resets = 5;
    for (unsigned i = 0; i < 50; i++) {
        (void)vm_reset(mover, "test");
        assert_int_equal(order(VM_MOVE_TRACK, 0), STATUS_OK);
        assert_int_equal(order(VM_MOVE_STOP, 0), STATUS_OK);
        expect("moving");
        assert_int_equal(order(VM_MOVE_GO_ON, 0), STATUS_OK);
        assert_int_equal(order(VM_MOVE_UNTRACK, 0), STATUS_OK);
    }
    life.own_resets = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, start, off),
        cmocka_unit_test_setup_teardown(test_time, start, off),
        cmocka_unit_test_setup_teardown(test_source_failures, start, off),
        cmocka_unit_test_setup_teardown(test_target_failures, start, off),
        cmocka_unit_test_setup_teardown(test_discard_failure, start, off),
        cmocka_unit_test_setup_teardown(test_refusals, start, off),
        cmocka_unit_test_setup_teardown(test_vfs_that_cannot, start, off),
        cmocka_unit_test_setup_teardown(test_resolve, start, off),
        cmocka_unit_test_setup_teardown(test_paused, start, off),
        cmocka_unit_test_setup_teardown(test_stop_at_any_time, start, off),
        cmocka_unit_test_setup_teardown(test_resets, start, off),
    };

    return cmocka_run_group_tests(tests, begin_life, end_life);
}
