/* SPDX-License-Identifier: BSD-2-Clause */
/* Administration commands, with a device that behaves and one that does not. */
#include "tests/unit/virtio/admin_unit.h"

static void test_lists(void **state)
{
    uint64_t used;

    assert_int_equal(sim.use[VIRTIO_GROUP_SRIOV], SIM_OPCODES);
    assert_int_equal(virtio_admin_use(admin, VIRTIO_GROUP_SELF, UINT64_MAX, &used), STATUS_OK);
    assert_int_equal(used, 3);
    sim.opcodes = 0x3f; /* what the device has not cannot be used */
    assert_int_equal(virtio_admin_use(admin, VIRTIO_GROUP_SRIOV,
                                      VIRTIO_LEGACY_COMMANDS | VIRTIO_LEGACY_NOTIFY, &used),
                     STATUS_OK);
    assert_int_equal(used, 0x3f);
    assert_int_equal(virtio_admin_use(admin, VIRTIO_GROUP_SRIOV, 0, &used), STATUS_OK);
    assert_int_equal(used, 3);
    assert_int_equal(read_status_register(), STATUS_UNSUPPORTED);
    sim.vf_enable = false;
    used = 99;
    assert_int_equal(virtio_admin_use(admin, VIRTIO_GROUP_SRIOV, UINT64_MAX, &used), STATUS_STATE);
    assert_int_equal(used, 0);
    assert_true(fake_log_contains("virtio 0000:00:02.0: admin command LIST_QUERY (0) for member 0 "
                                  "of group 1 failed: EINVAL (22), no such group (4)"));
    assert_int_equal(virtio_admin_count(admin).sent, 2 + 2 + 2 + 2 + 1 + 1);
    assert_int_equal(virtio_admin_count(admin).failed, 2);
}

static void test_registers(void **state)
{
    uint32_t value;

    for (unsigned i = 0; i < 24; i++) {
        sim.vf_common[1][i] = (uint8_t)(0x10 + i);
    }
    assert_int_equal(legacy_read(2, COMMON, 0, 4, &value), STATUS_OK);
    assert_int_equal(value, 0x13121110);
    assert_int_equal(sim.readable, 24 + 8); /* the offset, padded */
    assert_int_equal(sim.writable, 8 + 4);  /* and just the width */
    assert_int_equal(legacy_read(2, COMMON, 0x0e, 2, &value), STATUS_OK);
    assert_int_equal(value, 0x1f1e);
    assert_int_equal(legacy_read(2, COMMON, 0x13, 1, &value), STATUS_OK);
    assert_int_equal(value, 0x23);
    assert_int_equal(legacy_write(2, COMMON, 0x0e, 2, 0xabcd1234), STATUS_OK);
    assert_int_equal(sim.readable, 24 + 8 + 2);
    assert_int_equal(sim.writable, 8);
    assert_memory_equal(sim.vf_common[1] + 0x0d, "\x1d\x34\x12\x20", 4);
    assert_int_equal(legacy_write(1, DEVICE, 5, 1, 0x99), STATUS_OK);
    assert_memory_equal(sim.vf_device[0] + 4, "\0\x99\0", 3);
    assert_int_equal(legacy_write(1, DEVICE, 60, 4, 0x44332211), STATUS_OK);
    assert_int_equal(legacy_read(1, DEVICE, 62, 2, &value), STATUS_OK);
    assert_int_equal(value, 0x4433);
    assert_string_equal(fake_log_text(), "");
    assert_int_equal(legacy_read(1, DEVICE, 62, 4, &value), STATUS_INVALID);
    assert_false(fake_log_contains("failed")); /* the configuration ends before */
    assert_int_equal(legacy_write(1, DEVICE, 62, 4, 0), STATUS_INVALID);
    assert_true(fake_log_contains("invalid field (3)"));
    assert_int_equal(legacy_read(3, DEVICE, 0, 4, &value), STATUS_NOT_FOUND);
    assert_int_equal(legacy_write(0, COMMON, 0, 4, 0), STATUS_NOT_FOUND);
}

/* What the device says that it wrote, but did not. */
static void test_unwritten(void **state)
{
    uint32_t value;

    memset(sim.vf_common, 0x66, sizeof(sim.vf_common));
    assert_int_equal(legacy_read(1, COMMON, 0, 4, &value), STATUS_OK);
    assert_int_equal(value, 0x66666666);
    sim.answer = SIM_UNWRITTEN;
    assert_int_equal(legacy_read(2, COMMON, 0, 4, &value), STATUS_DEVICE);
    assert_true(fake_log_contains("unknown status (65535), unknown qualifier (65535)"));
    sim.answer = SIM_NO_RESULT;
    assert_int_equal(legacy_read(2, COMMON, 0, 4, &value), STATUS_OK);
    assert_int_equal(value, 0); /* and not what another VF's register had */
    sim.answer = SIM_GOOD;
    assert_int_equal(read_status_register(), STATUS_OK);
}

/* A result that is cut off: what is missing of a list reads as zero, and is not taken for a
 * register's value. */
static void test_short_results(void **state)
{
    uint8_t doorbells[64];
    struct virtio_admin_command list = {.opcode = VIRTIO_ADMIN_LEGACY_NOTIFY_INFO,
                                        .group = VIRTIO_GROUP_SRIOV,
                                        .member = 1,
                                        .result = doorbells,
                                        .result_size = sizeof(doorbells)};
    uint32_t value;

    memset(sim.vf_common, 0xff, sizeof(sim.vf_common));
    sim.result_cut = 1;
    assert_int_equal(legacy_read(1, COMMON, 0, 4, &value), STATUS_DEVICE);
    memset(doorbells, 0xee, sizeof(doorbells));
    sim.result_cut = 56; /* the first one's flags and BAR, but no offset */
    sim.notify[0].bar = 4;
    assert_int_equal(virtio_admin_execute(admin, &list), STATUS_OK);
    assert_int_equal(list.result_length, 8);
    assert_int_equal(doorbells[1], 4);
    for (unsigned i = 8; i < sizeof(doorbells); i++) {
        assert_int_equal(doorbells[i], 0);
    }
    sim.result_cut = 0;
    assert_int_equal(read_status_register(), STATUS_OK); /* the queue is none the worse */
}

static void test_slow(void **state)
{
    sim.answer_us = 1900000;
    sim.microseconds = 0;
    assert_int_equal(read_status_register(), STATUS_OK);
    assert_in_range(sim.microseconds, 1900000, 1901000);
    sim.answer_us = 10; /* what is quick is seen quickly */
    sim.microseconds = 0;
    assert_int_equal(read_status_register(), STATUS_OK);
    assert_in_range(sim.microseconds, 10, 11);
}

/* After COMMAND's failure nothing more is sent, until the PF has been started again. */
static void check_given_up(enum status wanted, const char *message)
{
    uint64_t sent;

    assert_int_equal(read_status_register(), wanted);
    assert_true(fake_log_contains(message));
    assert_true(fake_log_contains("the PF takes no more commands until it is reset"));
    sent = sim.commands;
    sim.answer = SIM_GOOD;
    assert_int_equal(read_status_register(), STATUS_STATE);
    assert_int_equal(sim.commands, sent);
    sim.all_ones = false;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    assert_int_equal(read_status_register(), STATUS_STATE);
    start();
    use_all();
    assert_int_equal(read_status_register(), STATUS_OK);
    fake_log_clear();
}

/* VF 1's command is not answered, in slot 0. */
static void keep_first(void)
{
    sim.answer = SIM_SILENT;
    assert_int_equal(read_status_register(), STATUS_TIMEOUT);
    sim.answer = SIM_GOOD;
    assert_int_equal(sim.kept, 1);
}

static void test_silence(void **state)
{
    uint32_t value;

    sim.microseconds = 0;
    assert_int_equal(virtio_admin_count(admin).timed_out, 0);
    keep_first();
    assert_in_range(sim.microseconds, 2000000, 2001000);
    assert_int_equal(virtio_admin_count(admin).timed_out, 1);
    assert_true(fake_log_contains("LEGACY_COMMON_CFG_READ (3) for member 1 was not answered in "
                                  "time; until it is, none is sent for that member"));
    /* Nothing for that VF, and all for the others. */
    uint64_t sent = sim.commands;

    sim.microseconds = 0;
    assert_int_equal(read_status_register(), STATUS_TIMEOUT);
    assert_int_equal(sim.commands, sent);
    assert_int_equal(sim.microseconds, 0);
    assert_false(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 1));
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 0));
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(legacy_write(2, DEVICE, 0, 4, i), STATUS_OK);
        assert_int_equal(legacy_read(2, DEVICE, 0, 4, &value), STATUS_OK);
        assert_int_equal(value, i);
    }
    assert_int_equal(sim.kept, 1);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    assert_false(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    start();
    use_all();
    assert_int_equal(read_status_register(), STATUS_OK);
}

/* The answer comes after all: between commands, or while another one is waited for. */
static void test_late(void **state)
{
    uint32_t value;

    sim.vf_common[0][0x12] = 0x11;
    sim.vf_common[1][0x12] = 0x22;
    keep_first();
    sim_answer_late(0);
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 1));
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_int_equal(value, 0x11);
    for (unsigned i = 0; i < 2; i++) {
        keep_first();
        sim.late_first = true;
        sim.answer_us = i * 50;
        assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_OK);
        assert_int_equal(value, 0x22);
        assert_int_equal(sim.kept, 0);
        assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
        assert_int_equal(value, 0x11);
        sim.answer_us = 0;
    }
    assert_int_equal(virtio_admin_count(admin).timed_out, 3);
}

/* More and more commands are not answered. */
static void fill(unsigned slots)
{
    uint32_t value;

    sim.answer = SIM_SILENT;
    for (uint32_t member = 1; member <= slots; member++) {
        assert_int_equal(legacy_read(member, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
        assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 0));
    }
    sim.answer = SIM_GOOD;
}

static void test_silence_everywhere(void **state)
{
    uint64_t sent;
    uint32_t value;

    assert_int_equal(pf.admin.queue.size, VIRTQUEUE_SIZE_MAX);
    fill(VIRTIO_ADMIN_SLOTS);
    sim_answer_late(2); /* of VF 3: there is room for one more */
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    assert_int_equal(sim.kept, ((1U << VIRTIO_ADMIN_SLOTS) - 1) & ~(1U << 2));
    sim.answer = SIM_SILENT;
    assert_int_equal(legacy_read(20, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    sim.answer = SIM_GOOD;
    sent = sim.commands;
    assert_int_equal(legacy_read(21, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    assert_true(fake_log_contains("for member 21 was not sent: too many before it were not "
                                  "answered; the PF takes no more commands until it is reset"));
    assert_int_equal(legacy_read(22, COMMON, 0x12, 1, &value), STATUS_STATE);
    assert_int_equal(sim.commands, sent);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    sim.queue_max = 2; /* a device with room for one */
    start();
    use_all();
    assert_int_equal(read_status_register(), STATUS_OK);
    fill(1);
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_STATE);
}

static void test_late_lies(void **state)
{
    static const enum sim_answer rings[] = {SIM_BAD_ID, SIM_TOO_LONG};
    uint32_t value;

    for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
        keep_first();
        sim.answer = rings[i];
        sim_answer_late(0);
        sim.answer = SIM_GOOD;
        assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_DEVICE);
        assert_true(fake_log_contains("was not sent: the used ring makes no sense"));
        assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
        start();
        use_all();
        fake_log_clear();
    }
    /* Twice the same. */
    keep_first();
    sim_answer_late(0);
    sim.kept = 1;
    sim_answer_late(0);
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_DEVICE);
}

static void test_lies(void **state)
{
    static const enum sim_answer rings[] = {SIM_BAD_ID, SIM_TOO_LONG, SIM_JUMP, SIM_BACK};

    for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
        sim.answer = rings[i];
        check_given_up(STATUS_DEVICE, "was answered in a used ring that makes no sense");
    }
    sim.answer = SIM_TOO_SHORT;
    check_given_up(STATUS_DEVICE, "was answered without a status");
    sim_set_used_index(pf.admin.queue.done + 1); /* what was never sent */
    check_given_up(STATUS_DEVICE, "was not sent: the used ring makes no sense");
}

static void test_breaks_down(void **state)
{
    sim.answer = SIM_NEEDS_RESET;
    sim.microseconds = 0;
    check_given_up(STATUS_DEVICE, "met a device that is gone or asks for a reset");
    assert_true(sim.microseconds < 2000); /* did not wait for the time limit */
    sim.answer = SIM_VANISH;
    check_given_up(STATUS_DEVICE, "met a device that is gone or asks for a reset");
}

static void test_retries(void **state)
{
    static const uint16_t transient[][2] = {
        {11, 0},
        {11, 1},
        {16, 7},
        {12, 6},
        {22, 7},
        {99, 6}
    };

    for (unsigned i = 0; i < ARRAY_SIZE(transient); i++) {
        uint64_t sent = sim.commands;

        sim.fail_count = 3;
        sim.fail_status = transient[i][0];
        sim.fail_qualifier = transient[i][1];
        assert_int_equal(read_status_register(), STATUS_OK);
        assert_int_equal(sim.commands - sent, 4);
        assert_int_equal(virtio_admin_count(admin).retried, 3 * (i + 1));
    }
    assert_int_equal(virtio_admin_count(admin).failed, 0);
    assert_string_equal(fake_log_text(), "");
    sim.fail_count = SIM_FOR_EVER;
    sim.fail_status = VIRTIO_ADMIN_EAGAIN;
    sim.fail_qualifier = VIRTIO_ADMIN_Q_TRY_AGAIN;
    uint64_t sent = sim.commands;

    sim.microseconds = 0;
    assert_int_equal(read_status_register(), STATUS_DEVICE);
    assert_int_equal(sim.commands - sent, 15);
    assert_in_range(sim.microseconds, 1638300, 1639000);
    assert_int_equal(virtio_admin_count(admin).failed, 1);
    assert_true(fake_log_contains("failed: EAGAIN (11), try again (7)"));
    sim.fail_count = 0;
    assert_int_equal(read_status_register(), STATUS_OK);
}

static void fall_silent(void)
{
    sim.answer = SIM_SILENT;
}

/* A second try that is not answered may have an effect, whatever the device said to the first. */
static void test_silent_after_retry(void **state)
{
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                           .group = VIRTIO_GROUP_SRIOV};
    uint64_t sent = sim.commands;

    sim.fail_count = 1;
    sim.fail_status = VIRTIO_ADMIN_EAGAIN;
    sim.meanwhile = fall_silent;
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_TIMEOUT);
    assert_int_equal(sim.commands - sent, 2);
    assert_false(virtio_admin_was_refused(&command));
}

static void test_failures(void **state)
{
    static const struct {
        uint16_t status, qualifier;
        enum status wanted;
        const char *text;
    } cases[] = {
        {22, 1,      STATUS_DEVICE,      "EINVAL (22), invalid command (1)"          },
        {22, 2,      STATUS_UNSUPPORTED, "EINVAL (22), unsupported opcode (2)"       },
        {22, 3,      STATUS_INVALID,     "EINVAL (22), invalid field (3)"            },
        {22, 4,      STATUS_STATE,       "EINVAL (22), no such group (4)"            },
        {22, 5,      STATUS_NOT_FOUND,   "EINVAL (22), no such member (5)"           },
        {22, 0,      STATUS_DEVICE,      "EINVAL (22), no qualifier (0)"             },
        {22, 0xffff, STATUS_DEVICE,      "EINVAL (22), unknown qualifier (65535)"    },
        {6,  1,      STATUS_NOT_FOUND,   "ENXIO (6), invalid command (1)"            },
        {12, 1,      STATUS_NO_MEMORY,   "ENOMEM (12), invalid command (1)"          },
        {16, 1,      STATUS_CONFLICT,    "EBUSY (16), invalid command (1)"           },
        {17, 1,      STATUS_CONFLICT,    "EEXIST (17), invalid command (1)"          },
        {28, 1,      STATUS_NO_MEMORY,   "ENOSPC (28), invalid command (1)"          },
        {1,  2,      STATUS_DEVICE,      "unknown status (1), unsupported opcode (2)"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        sim.fail_count = 1;
        sim.fail_status = cases[i].status;
        sim.fail_qualifier = cases[i].qualifier;
        assert_int_equal(read_status_register(), cases[i].wanted);
        assert_true(fake_log_contains(cases[i].text));
    }
    assert_string_equal(virtio_admin_opcode_name(6), "LEGACY_NOTIFY_INFO");
    assert_string_equal(virtio_admin_opcode_name(0x12), "unknown");
    sim.fail_count = 100;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_not_equal(read_status_register(), STATUS_OK);
    }
    assert_int_equal(virtio_admin_count(admin).failed, 100 + ARRAY_SIZE(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_registers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_short_results, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence_everywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_lies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_breaks_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_after_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
