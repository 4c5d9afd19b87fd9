/* SPDX-License-Identifier: BSD-2-Clause */
/* Administration commands that share the queue's room: long ones, and several at once. */
#include "tests/unit/virtio/admin_unit.h"

/* Requests and results of many pages, which lie here and there when others have some of them. */
static void check_long(uint32_t pages, unsigned parts)
{
    static uint8_t data[VIRTIO_ADMIN_DATA_MAX + 1], result[VIRTIO_ADMIN_RESULT_MAX + 1];
    uint32_t size = pages * (uint32_t)PAGE_SIZE;
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .data = data,
                                           .data_size = size - VIRTIO_ADMIN_HEADER,
                                           .result = result,
                                           .result_size = size - VIRTIO_ADMIN_TAIL};

    memset(result, 0x77, sizeof(result));
    sim.list_size = 50000;
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_OK);
    assert_int_equal(sim.readable, size);
    assert_int_equal(sim.writable, size);
    assert_int_equal(sim.parts, parts);
    assert_int_equal(command.result_length, 50000);
    assert_int_equal(result[0], SIM_OPCODES);
    for (unsigned i = 8; i < 50000; i++) {
        assert_int_equal(result[i], (uint8_t)(i * 7 + i / 251));
    }
    for (unsigned i = 50000; i < size - VIRTIO_ADMIN_TAIL; i++) {
        assert_int_equal(result[i], 0); /* what the device did not write is zero */
    }
    assert_int_equal(result[size - VIRTIO_ADMIN_TAIL], 0x77);
    sim.list_size = 0;
}

static void test_sizes(void **state)
{
    static uint8_t buffer[8];
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .data = buffer,
                                           .data_size = VIRTIO_ADMIN_DATA_MAX + 1,
                                           .result = buffer,
                                           .result_size = sizeof(buffer)};

    check_long(15, 2);
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_INVALID);
    command.data_size = 0;
    command.result_size = VIRTIO_ADMIN_RESULT_MAX + 1;
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_INVALID);
    command.result_size = 0;
    command.timeout_ms = 5;
    sim.answer = SIM_SILENT;
    sim.microseconds = 0;
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_TIMEOUT);
    assert_in_range(sim.microseconds, 5000, 6000);
}

static enum status second_status;
static uint32_t second_value;
static uint64_t second_took;

/* What another CPU does while the first waits: it would hang if that held the lock. */
static void read_second(void)
{
    uint64_t from = sim.microseconds;

    second_status = legacy_read(2, COMMON, 0x12, 1, &second_value);
    second_took = sim.microseconds - from;
}

/* Two commands at once; the later one is answered first, and each gets its own answer. */
static void test_two_admin_commands_interleaved(void **state)
{
    uint32_t value;

    sim.vf_common[0][0x12] = 0x11;
    sim.vf_common[1][0x12] = 0x22;
    sim.together = 0;
    sim.answer_us = 100000;
    sim.meanwhile = read_second;
    sim.microseconds = 0;
    sim.answer_us = 100000;
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_int_equal(value, 0x11);
    assert_int_equal(second_status, STATUS_OK);
    assert_int_equal(second_value, 0x22);
    assert_int_equal(sim.together, 2);
    assert_in_range(sim.microseconds, 100000, 108000); /* and not one after the other */
}

static void quick_second(void)
{
    sim.answer_us = 10;
    read_second();
}

static void test_overtaken(void **state)
{
    uint32_t value;

    sim.vf_common[0][0x12] = 0x11;
    sim.vf_common[1][0x12] = 0x22;
    sim.answer_us = 100000;
    sim.meanwhile = quick_second;
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_int_equal(value, 0x11);
    assert_int_equal(second_status, STATUS_OK);
    assert_int_equal(second_value, 0x22);
    assert_in_range(second_took, 10, 11);
}

/* Who waits looks often, however long the pause before the next try is. */
static void test_pauses(void **state)
{
    struct virtio_admin_command command = {.pause_us = 800000};

    sim.microseconds = 0;
    assert_int_equal(virtio_admin_pause(&command), 1000);
    assert_int_equal(sim.microseconds, 1000);
    command.pause_us = 100;
    assert_int_equal(virtio_admin_pause(&command), 100);
}

/* Nobody waits any more, before the answer: its room is used again when that has come. */
static void test_abandoned(void **state)
{
    uint64_t list;
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = 2,
                                           .result = &list,
                                           .result_size = sizeof(list)};
    uint32_t value;
    enum status status;

    virtio_admin_abandon(admin, &command); /* it has not even begun */
    sim.answer_us = 5000;
    virtio_admin_begin(&command);
    assert_false(virtio_admin_poll(admin, &command, 0, &status));
    virtio_admin_abandon(admin, &command);
    assert_false(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    assert_int_equal(legacy_read(2, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_int_equal(bit_count(admin->free_pages), VIRTIO_ADMIN_PAGES);
}

/* One of several is not answered in time: it alone fails, and its pages are not used meanwhile. */
static void silent_second(void)
{
    sim.answer_us = 5000000;
    read_second();
    sim.answer_us = 0;
}

static void test_one_times_out(void **state)
{
    static uint8_t buffer[VIRTIO_ADMIN_PART_MAX];
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LIST_QUERY,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .data = buffer,
                                           .result = buffer,
                                           .result_size = VIRTIO_ADMIN_RESULT_MAX};
    uint32_t value;

    sim.vf_common[0][0x12] = 0x11;
    sim.answer_us = 1000;
    sim.meanwhile = silent_second;
    sim.microseconds = 0;
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    assert_int_equal(value, 0x11);
    assert_int_equal(second_status, STATUS_TIMEOUT);
    assert_in_range(second_took, 2000000, 2001000);
    assert_int_equal(virtio_admin_count(admin).timed_out, 1);
    assert_false(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 1));
    /* Its two pages lie behind those of the first, which are free again: three parts. */
    check_long(14, 3);
    command.data_size = VIRTIO_ADMIN_DATA_MAX; /* too long as long as those two are away */
    assert_int_equal(virtio_admin_execute(admin, &command), STATUS_TIMEOUT);
    assert_int_equal(read_status_register(), STATUS_OK);
    time_delay_us(5000000);
    assert_true(virtio_admin_takes(admin, VIRTIO_GROUP_SRIOV, 2));
    check_long(15, 2);
}

/* The queue is given up while another CPU waits: it learns so at once. */
static void lying_second(void)
{
    sim.answer = SIM_BAD_ID;
    sim.answer_us = 0;
    read_second();
    sim.answer = SIM_GOOD;
}

static void test_given_up_meanwhile(void **state)
{
    uint32_t value;

    sim.answer_us = 1000000;
    sim.microseconds = 0;
    sim.meanwhile = lying_second;
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_TIMEOUT);
    assert_int_equal(second_status, STATUS_DEVICE);
    assert_true(sim.microseconds < 1000);
    assert_int_equal(read_status_register(), STATUS_STATE);
}

/* A short queue: the second waits for the first one's descriptors, and gets them. */
static void test_waits_for_room(void **state)
{
    uint32_t value;

    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    sim.queue_max = 2;
    start();
    use_all();
    sim.vf_common[1][0x12] = 0x22;
    sim.together = 0;
    sim.answer_us = 50;
    sim.meanwhile = read_second;
    assert_int_equal(legacy_read(1, COMMON, 0x12, 1, &value), STATUS_OK);
    /* The first one's caller could not read its answer while the second ran on this very CPU. */
    assert_int_equal(second_status, STATUS_OK);
    assert_int_equal(second_value, 0x22);
    assert_int_equal(sim.together, 1);
}

/* More commands than the rings' indices count. */
static void test_indices_wrap(void **state)
{
    for (uint32_t i = 0; i < 70000; i++) {
        uint32_t value;

        assert_int_equal(legacy_write(1, DEVICE, 0, 4, i), STATUS_OK);
        assert_int_equal(legacy_read(1, DEVICE, 0, 4, &value), STATUS_OK);
        assert_int_equal(value, i);
    }
    assert_int_equal(virtio_admin_count(admin).sent, 140002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_admin_commands_interleaved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overtaken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pauses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandoned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_times_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_given_up_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_for_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_indices_wrap, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
