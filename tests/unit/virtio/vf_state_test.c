/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of VFs by both protocols, with a device that keeps their rules and one that does not.
 */
#include "tests/unit/fakes/log.h"
#include "tests/unit/virtio/sim_state.h"
#include "tests/unit/virtio/vf_state_to.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct virtio_pf pf;
static struct vf_state_pf control;
static struct vf_state vfs[SIM_STATE_VFS];
static struct vf_state *const vf = &vfs[0];
static uint64_t used;

static void start(void)
{
    struct virtio_dma memory = sim_memory();

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    (void)virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV,
                           VIRTIO_LEGACY_COMMANDS | VF_STATE_COMMANDS, &used);
    vf_state_probe(&control, &pf, used);
    for (unsigned i = 0; i < SIM_STATE_VFS; i++) {
        vf_state_open(&vfs[i], &control, (uint16_t)(i + 1));
    }
}

static void set_up(enum vf_state_kind kind)
{
    sim_state_reset(kind, 3000);
    start();
    assert_int_equal(control.kind, kind);
    fake_log_clear();
    sim_state.log[0] = '\0';
}

static void tear_down(void)
{
    sim.all_ones = false;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static const enum vf_state_kind both[] = {VF_STATE_PARTS, VF_STATE_2021};

/* ---- Probing ---- */

static void test_probe_2021(void **state)
{
    sim_state_reset(VF_STATE_2021, 3000);
    start();
    assert_int_equal(control.kind, VF_STATE_2021);
    assert_int_equal(control.version[0], 1);
    assert_int_equal(control.mode, VF_TRACK_PULL_BITMAP);
    assert_int_equal(control.range_pages, 1 << 15);
    assert_int_equal(control.ranges, 2);
    /* Neither order nor indirect descriptors nor state that changes. */
    assert_int_equal(sim.accepted >> 41, 1 | 1 << 3 | 0xf << 5);
    tear_down();
    sim_state.version = 2;
    start();
    assert_int_equal(control.kind, VF_STATE_NONE);
    assert_true(fake_log_contains("version 2 of its commands for the state of VFs is unknown"));
    tear_down();
    sim_state.version = 1;
    sim.offered &= ~(0xfULL << 46);
    start();
    assert_int_equal(control.kind, VF_STATE_2021);
    assert_int_equal(control.mode, VF_TRACK_NONE);
    tear_down();
    sim_state_reset(VF_STATE_2021, 3000);
    sim.offered &= ~SIM_ADMIN; /* then the rest means nothing */
    start();
    assert_int_equal(control.kind, VF_STATE_NONE);
    assert_int_equal(sim.accepted >> 40, 0);
    assert_int_equal(sim.commands, 0);
    tear_down();
}

static void test_probe_modes(void **state)
{
    static const struct {
        uint64_t features; /* from 46 on */
        enum vf_track_mode mode;
    } cases[] = {
        {0xf, VF_TRACK_PULL_BITMAP },
        {0xb, VF_TRACK_PULL_BYTEMAP},
        {3,   VF_TRACK_PUSH_BITMAP },
        {2,   VF_TRACK_PUSH_BYTEMAP},
        {0,   VF_TRACK_NONE        },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        sim_state_reset(VF_STATE_2021, 3000);
        sim.offered &= ~(0xfULL << 46);
        sim.offered |= cases[i].features << 46;
        start();
        assert_int_equal(control.mode, cases[i].mode);
        tear_down();
    }
    sim_state_reset(VF_STATE_2021, 3000);
    sim_state.log_pages[0] = 5; /* less than a word: the next best */
    start();
    assert_int_equal(control.mode, VF_TRACK_PULL_BYTEMAP);
    tear_down();
    sim_state.ranges = 0;
    start();
    assert_int_equal(control.mode, VF_TRACK_NONE);
    tear_down();
    sim_state.ranges = UINT32_MAX;
    sim_state.log_pages[0] = UINT16_MAX;
    start();
    assert_int_equal(control.range_pages, 1ULL << 36);
    tear_down();
}

/* Bit 41 is the same in both. */
static void test_never_confused(void **state)
{
    sim_state_reset(VF_STATE_2021, 3000);
    sim.opcodes |= VF_STATE_COMMANDS; /* and a list of them: 44 decides */
    start();
    assert_int_equal(control.kind, VF_STATE_2021);
    tear_down();
    sim_state_reset(VF_STATE_PARTS, 3000);
    sim.offered |= 0xfULL << 46; /* without 44 they are no dirty maps */
    start();
    assert_int_equal(control.kind, VF_STATE_PARTS);
    assert_int_equal(control.mode, VF_TRACK_NONE);
    assert_int_equal(sim.accepted >> 46, 0);
    tear_down();
}

/* One of 2021 alone says "no such class" in the last byte, which looks like success and a list. */
static bool only_classes(struct sim_command *c)
{
    if (c->opcode < VIRTIO_2021_OPCODES) {
        assert_int_equal(c->opcode, VIRTIO_ADMIN_LIST_QUERY);
        c->length = 8;
        c->result[7] = 0x82;
        return true;
    }
    return false;
}

static void test_no_list(void **state)
{
    sim_state_reset(VF_STATE_2021, 3000);
    sim.more = only_classes;
    struct virtio_dma memory = sim_memory();

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    used = 99;
    assert_int_equal(virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV, UINT64_MAX, &used),
                     STATUS_UNSUPPORTED);
    assert_int_equal(used, 0);
    assert_int_equal(sim.commands, 1); /* no LIST_USE */
    tear_down();
}

/* As the standard has it, and as Linux needs it. */
static void test_probe_parts(void **state)
{
    for (unsigned lax = 0; lax < 2; lax++) {
        sim_state_reset(VF_STATE_PARTS, 3000);
        if (lax) {
            sim.opcodes |= sim.self_opcodes;
            sim.self_opcodes = 0;
        }
        start();
        assert_int_equal(control.kind, VF_STATE_PARTS);
        assert_int_equal(control.objects[0], 3);
        assert_int_equal(control.objects[1], 2);
        assert_memory_equal(sim_state.set_limits, control.objects, 2);
        assert_int_equal(control.capabilities, 1);
        tear_down();
    }
    for (unsigned opcode = 7; opcode <= 0x11; opcode++) { /* one is missing */
        sim_state_reset(VF_STATE_PARTS, 3000);
        sim.opcodes &= ~(1ULL << opcode);
        sim.self_opcodes &= ~(1ULL << opcode);
        start();
        assert_int_equal(control.kind,
                         opcode == 0xb || opcode == 0xc ? VF_STATE_PARTS : VF_STATE_NONE);
        tear_down();
    }
    sim_state_reset(VF_STATE_PARTS, 3000);
    sim_state.limits[1] = 0;
    start();
    assert_int_equal(control.kind, VF_STATE_NONE);
    assert_true(fake_log_contains("no objects to get and set the state of VFs (3, 0)"));
    tear_down();
    sim_state.limits[0] = sim_state.limits[1] = 255;
    start();
    assert_int_equal(control.kind, VF_STATE_PARTS);
    assert_int_equal(sim_state.set_limits[0], 32);
    tear_down();
    sim_state_reset(VF_STATE_NONE, 0);
    start();
    assert_int_equal(control.kind, VF_STATE_NONE);
    tear_down();
}

/* Whatever fails when it is asked for: then it is not there, and nothing else is the worse. */
static void test_probe_fails(void **state)
{
    static const struct {
        enum vf_state_kind kind;
        uint16_t opcode;
        enum vf_state_kind left;
    } cases[] = {
        {VF_STATE_PARTS, VIRTIO_ADMIN_CAP_LIST_QUERY, VF_STATE_NONE},
        {VF_STATE_PARTS, VIRTIO_ADMIN_CAP_GET,        VF_STATE_NONE},
        {VF_STATE_PARTS, VIRTIO_ADMIN_CAP_SET,        VF_STATE_NONE},
        {VF_STATE_2021,  VIRTIO_2021_IDENTITY,        VF_STATE_NONE},
        {VF_STATE_2021,  VIRTIO_2021_DIRTY_IDENTITY,  VF_STATE_2021},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        sim_state_reset(cases[i].kind, 3000);
        sim.fail_count = SIM_FOR_EVER;
        sim.fail_only = cases[i].opcode;
        sim.fail_status = cases[i].kind == VF_STATE_PARTS ? 22 : 1;
        sim.fail_qualifier = cases[i].kind == VF_STATE_PARTS ? 3 : 0x80;
        start();
        assert_int_equal(control.kind, cases[i].left);
        assert_int_equal(control.mode, VF_TRACK_NONE);
        assert_true(fake_log_contains(virtio_admin_opcode_name(cases[i].opcode)));
        assert_true((used & VIRTIO_LEGACY_COMMANDS) == VIRTIO_LEGACY_COMMANDS);
        tear_down();
    }
}

/* ---- Levels ---- */

static void go(enum vf_state_level level, const char *commands)
{
    sim_state.log[0] = '\0';
    enum status status = vf_state_to(vf, level);

    assert_string_equal(sim_state.log, commands);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(vf->level, level);
}

static void test_levels(void **state)
{
    set_up(VF_STATE_2021);
    assert_int_equal(vf->level, VF_STATE_UNKNOWN);
    go(VF_STATE_FROZEN, "?SF");
    go(VF_STATE_FROZEN, "");
    go(VF_STATE_STOPPED, "S");
    go(VF_STATE_RUNNING, "R");
    go(VF_STATE_STOPPED, "S");
    go(VF_STATE_FROZEN, "F");
    go(VF_STATE_RUNNING, "SR");
    for (unsigned level = SIM_INIT; level <= SIM_FREEZED; level++) { /* as somebody left it */
        static const char *const wanted[] = {"?", "?", "?R", "?SR"};

        sim_state.vf[1].level = (enum sim_level)level;
        vf_state_open(vf, &control, 1);
        go(VF_STATE_RUNNING, wanted[level]);
    }
    tear_down();
    set_up(VF_STATE_PARTS);
    go(VF_STATE_STOPPED, "S");
    go(VF_STATE_FROZEN, "");
    go(VF_STATE_STOPPED, "");
    go(VF_STATE_RUNNING, "R");
    go(VF_STATE_FROZEN, "S");
    go(VF_STATE_RUNNING, "R");
    vf_state_open(vf, &control, 1);
    go(VF_STATE_RUNNING, "R"); /* it cannot be asked */
    assert_int_equal(vf_state_begin(vf, VF_STATE_UNKNOWN), STATUS_INVALID);
    tear_down();
    set_up(VF_STATE_NONE);
    go(VF_STATE_RUNNING, "");
    assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), STATUS_UNSUPPORTED);
    assert_false(vf_state_facts(VF_STATE_NONE)->can_migrate);
    tear_down();
}

/* Wait for COUNT VFs, a millisecond at a time. */
static void wait_for(unsigned count, enum status wanted)
{
    unsigned over = 0;
    bool done[SIM_STATE_VFS] = {false};

    for (uint32_t us = 0; over < count; us = 1000) {
        for (unsigned i = 0; i < count; i++) {
            enum status status;

            if (!done[i] && vf_state_done(&vfs[i], us, &status)) {
                assert_int_equal(status, wanted);
                done[i] = true;
                over++;
            }
        }
        if (over < count) {
            time_delay_us(1000);
        }
    }
}

/* A set is drained together; others' commands have room all the time. */
static void test_set(void **state)
{
    const unsigned count = 64, at_once = VIRTIO_ADMIN_SLOTS - 2;

    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        const uint8_t offset[8] = {0x12};
        uint8_t value;
        struct virtio_admin_command read = {.opcode = VIRTIO_ADMIN_LEGACY_COMMON_READ,
                                            .group = VIRTIO_GROUP_SRIOV,
                                            .member = 2,
                                            .data = offset,
                                            .data_size = sizeof(offset),
                                            .result = &value,
                                            .result_size = 1};
        enum status status;

        set_up(both[k]);
        sim.slow_only = k == 0 ? VIRTIO_ADMIN_MODE_SET : VIRTIO_2021_MODIFY_STATUS;
        sim.answer_us = 3000000;
        sim.together = 0;
        sim.microseconds = 0;
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(vf_state_begin(&vfs[i], VF_STATE_STOPPED), STATUS_OK);
            assert_false(vf_state_done(&vfs[i], 0, &status));
        }
        assert_int_equal(vf_state_begin(vf, VF_STATE_RUNNING), STATUS_CONFLICT);
        assert_int_equal(virtio_admin_execute(&pf.admin, &read), STATUS_OK);
        assert_true(sim.microseconds < 1000);
        wait_for(count, STATUS_OK);
        assert_in_range(sim.together, at_once, at_once + 1);
        const uint64_t rounds = (count + at_once - 1) / at_once;

        assert_in_range(sim.microseconds, 3000000 * rounds, 3010000 * rounds);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(vfs[i].level, VF_STATE_STOPPED);
            assert_int_equal(sim_state.vf[i + 1].level, SIM_QUIESCED);
        }
        assert_false(fake_log_contains("virtio 0000")); /* nothing was refused */
        assert_true(vf_state_done(vf, 0, &status));     /* nothing was begun */
        assert_int_equal(status, STATUS_STATE);
        tear_down();
    }
}

static void test_time_limits(void **state)
{
    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        set_up(both[k]);
        go(VF_STATE_RUNNING, k == 0 ? "R" : "?");
        sim.slow_only = k == 0 ? VIRTIO_ADMIN_MODE_SET : VIRTIO_2021_MODIFY_STATUS;
        sim.answer_us = 29000000; /* a device may take its time to drain */
        assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), STATUS_OK);
        pf.admin.timeout_ms = 5000;
        sim.microseconds = 0;
        assert_int_equal(vf_state_to(vf, VF_STATE_RUNNING), STATUS_TIMEOUT);
        assert_in_range(sim.microseconds, 5000000, 5002000);
        assert_int_equal(vf->level, VF_STATE_UNKNOWN);
        assert_true(fake_log_contains(k == 0 ? "DEV_MODE_SET (17) for member 1 was not answered"
                                             : "MODIFY_INTERNAL_STATUS (16386) for member 1 was"));
        assert_int_equal(vf_state_to(vf, VF_STATE_RUNNING), STATUS_TIMEOUT); /* owed */
        time_delay_us(30000000);
        sim.answer_us = 0;
        go(VF_STATE_RUNNING, k == 0 ? "R" : "?"); /* it was carried out after all */
        tear_down();
    }
}

/* What the device says no to has no effect, and the log says what it was. */
static void test_refused(void **state)
{
    static const struct {
        enum vf_state_kind kind;
        uint16_t status, qualifier;
        enum status wanted;
        unsigned tries;
        const char *text;
    } cases[] = {
        {VF_STATE_2021,  1,  0x80, STATUS_INVALID,     1,  "ERR (1), do not retry (128)"      },
        {VF_STATE_2021,  1,  0,    STATUS_INVALID,     15, "ERR (1), try again (0)"           },
        {VF_STATE_2021,  2,  0x80, STATUS_UNSUPPORTED, 1,  "INVALID_CLASS (2)"                },
        {VF_STATE_2021,  3,  0x80, STATUS_UNSUPPORTED, 1,  "INVALID_COMMAND (3)"              },
        {VF_STATE_2021,  4,  0x80, STATUS_DEVICE,      1,  "DATA_TRANSFER_ERR (4)"            },
        {VF_STATE_2021,  5,  0x80, STATUS_DEVICE,      1,  "DEVICE_INTERNAL_ERR (5)"          },
        {VF_STATE_2021,  99, 0x80, STATUS_DEVICE,      1,  "unknown status (99)"              },
        {VF_STATE_PARTS, 11, 7,    STATUS_DEVICE,      15, "EAGAIN (11), try again (7)"       },
        {VF_STATE_PARTS, 12, 6,    STATUS_NO_MEMORY,   15, "ENOMEM (12), out of resources (6)"},
        {VF_STATE_PARTS, 22, 3,    STATUS_INVALID,     1,  "EINVAL (22), invalid field (3)"   },
        {VF_STATE_PARTS, 6,  5,    STATUS_NOT_FOUND,   1,  "ENXIO (6), no such member (5)"    },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(cases[i].kind);
        go(VF_STATE_RUNNING, cases[i].kind == VF_STATE_PARTS ? "R" : "?");
        uint64_t sent = sim.commands;

        sim.fail_count = SIM_FOR_EVER;
        sim.fail_only =
            cases[i].kind == VF_STATE_PARTS ? VIRTIO_ADMIN_MODE_SET : VIRTIO_2021_MODIFY_STATUS;
        sim.fail_status = cases[i].status;
        sim.fail_qualifier = cases[i].qualifier;
        assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), cases[i].wanted);
        assert_int_equal(vf->level, VF_STATE_RUNNING);
        assert_int_equal(sim.commands - sent, cases[i].tries);
        assert_true(fake_log_contains(cases[i].text));
        sim.fail_count = 2; /* a second attempt; what asks for it is tried again */
        if (cases[i].tries == 1) {
            sim.fail_count = 0;
        }
        go(VF_STATE_STOPPED, "S");
        tear_down();
    }
}

/* No status in the answer: nobody knows whether it was carried out. */
static void test_cut_off(void **state)
{
    set_up(VF_STATE_2021);
    go(VF_STATE_RUNNING, "?");
    sim.result_cut = 1;
    assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), STATUS_DEVICE);
    assert_int_equal(vf->level, VF_STATE_UNKNOWN);
    assert_true(fake_log_contains("unknown status (127), do not retry (128)"));
    sim.result_cut = 0;
    go(VF_STATE_STOPPED, "?"); /* it was */
    sim_state.vf[1].level = (enum sim_level)7;
    vf_state_open(vf, &control, 1);
    assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), STATUS_DEVICE);
    tear_down();
}

/* ---- Recovery ---- */

static void test_reset(void **state)
{
    uint8_t buffer[8];
    uint64_t marks;
    struct ram ram = {.below_4g = 64 * PAGE_SIZE, .marks = &marks};
    uint32_t got;
    enum status status;

    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        set_up(both[k]);
        go(VF_STATE_FROZEN, k == 0 ? "S" : "?SF");
        assert_int_equal(vf_state_open_save(vf, &got), STATUS_OK);
        sim.slow_only = k == 0 ? VIRTIO_ADMIN_MODE_SET : VIRTIO_2021_MODIFY_STATUS;
        sim.answer_us = 1000000;
        assert_int_equal(vf_state_begin(&vfs[1], VF_STATE_STOPPED), STATUS_OK);
        assert_false(vf_state_done(&vfs[1], 0, &status));
        assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
        assert_true(vf_state_done(&vfs[1], 50, &status)); /* not for ever */
        assert_int_not_equal(status, STATUS_OK);
        sim.answer_us = 0;
        memset(sim_state.object, 0, sizeof(sim_state.object));
        struct vf_state old = vfs[0];

        start();
        assert_int_equal(control.kind, both[k]);
        assert_int_equal(vf_state_begin(&old, VF_STATE_RUNNING), STATUS_STATE);
        assert_int_equal(vf_state_read(&old, 0, buffer, 8, &got), STATUS_STATE);
        assert_int_equal(vf_state_write(&old, sim_state.blob, sim_state.size), STATUS_STATE);
        assert_int_equal(vf_state_open_save(&old, &got), STATUS_STATE);
        assert_int_equal(vf_state_track(&old, &ram, NULL), STATUS_STATE);
        assert_int_equal(vf_state_report(&old), STATUS_STATE);
        uint64_t sent = sim.commands;

        vf_state_close(&old); /* its object is gone with the reset */
        assert_int_equal(sim.commands, sent);
        go(VF_STATE_FROZEN, k == 0 ? "S" : "?");
        assert_int_equal(vf_state_open_save(vf, &got), STATUS_OK);
        vf_state_close(vf);
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_2021),     cmocka_unit_test(test_probe_modes),
        cmocka_unit_test(test_never_confused), cmocka_unit_test(test_no_list),
        cmocka_unit_test(test_probe_parts),    cmocka_unit_test(test_probe_fails),
        cmocka_unit_test(test_levels),         cmocka_unit_test(test_set),
        cmocka_unit_test(test_time_limits),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_off),        cmocka_unit_test(test_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
