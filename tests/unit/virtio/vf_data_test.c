/* SPDX-License-Identifier: BSD-2-Clause */
/* Saving and restoring VFs by both protocols: every cut, every failure, and a device that lies. */
#include "tests/unit/virtio/vf_data_unit.h"

static const enum vf_state_kind both[] = {VF_STATE_PARTS, VF_STATE_2021};

static void test_read(void **state)
{
    static const uint32_t steps[] = {7, 16, 1000, 4096, SIM_STATE_MAX};
    uint32_t size, got;

    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        set_up(both[k], 3000);
        for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
            assert_int_equal(read_all(steps[i], &size), STATUS_OK);
            assert_int_equal(size, sim_state.size);
            assert_memory_equal(buffer, sim_state.blob, size);
            assert_int_equal(buffer[size], 0xa5);
            assert_int_equal(vf_state_check(both[k], buffer, size), STATUS_OK);
        }
        /* Any part, in any order. */
        assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
        assert_int_equal(vf_state_read(vf, 1500, buffer, 200, &got), STATUS_OK);
        assert_int_equal(got, 200);
        assert_memory_equal(buffer, sim_state.blob + 1500, 200);
        assert_int_equal(vf_state_read(vf, 3, buffer, 2, &got), STATUS_OK);
        assert_memory_equal(buffer, sim_state.blob + 3, 2);
        assert_int_equal(vf_state_read(vf, size, buffer, 2, &got), STATUS_OK);
        assert_int_equal(got, 0);
        assert_int_equal(vf_state_read(vf, UINT32_MAX, buffer, 2, &got), STATUS_OK);
        assert_int_equal(got, 0);
        assert_int_equal(vf_state_open_save(vf, &size), STATUS_CONFLICT);
        vf_state_close(vf);
        assert_int_equal(vf_state_read(vf, 0, buffer, 2, &got), STATUS_STATE);
        assert_false(fake_log_contains("virtio 0000")); /* nothing was refused */
        tear_down();
    }
}

/* Around the sizes of pages, and of what a command carries: not a byte too few or too many. */
static void test_state_size_need_not_be_aligned(void **state)
{
    static const uint32_t sizes[] = {4095,
                                     4096,
                                     4097,
                                     8192,
                                     VIRTIO_ADMIN_DATA_MAX - 24 - 1,
                                     VIRTIO_ADMIN_DATA_MAX - 24,
                                     VIRTIO_ADMIN_DATA_MAX - 24 + 1,
                                     VIRTIO_ADMIN_RESULT_MAX,
                                     VIRTIO_ADMIN_RESULT_MAX + 1};
    uint32_t size;

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        set_up(VF_STATE_2021, sizes[i]);
        assert_int_equal(sim_state.size, sizes[i]);
        assert_int_equal(read_all(SIM_STATE_MAX, &size), STATUS_OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(buffer, sim_state.blob, size);
        assert_int_equal(vf_state_write(vf, sim_state.blob, size), STATUS_OK);
        assert_int_equal(sim_state.restored_size, size);
        assert_memory_equal(sim_state.restored, sim_state.blob, size);
        tear_down();
    }
}

/* What one command can carry, and more. */
static void test_long(void **state)
{
    uint32_t size;

    set_up(VF_STATE_2021, 150000);
    assert_int_equal(read_all(SIM_STATE_MAX, &size), STATUS_OK);
    assert_int_equal(size, 150000);
    assert_memory_equal(buffer, sim_state.blob, size);
    sim_state.log[0] = '\0';
    assert_int_equal(vf_state_write(vf, sim_state.blob, size), STATUS_OK);
    assert_string_equal(sim_state.log, "WWW");
    assert_int_equal(sim_state.restored_size, size);
    assert_memory_equal(sim_state.restored, sim_state.blob, size);
    tear_down();
    set_up(VF_STATE_PARTS, 61000);
    assert_int_equal(read_all(SIM_STATE_MAX, &size), STATUS_OK);
    assert_memory_equal(buffer, sim_state.blob, size);
    tear_down();
    set_up(VF_STATE_PARTS, VIRTIO_ADMIN_RESULT_MAX + 100); /* it must come at once */
    assert_int_equal(read_all(SIM_STATE_MAX, &size), STATUS_DEVICE);
    tear_down();
}

/* Pages that lie here and there, as others have some of them: each byte has its place. */
static void test_scattered(void **state)
{
    enum status status;
    uint32_t size;

    set_up(VF_STATE_2021, 150000);
    sim.slow_only = VIRTIO_2021_MODIFY_STATUS;
    for (unsigned i = 1; i < 5; i++) { /* two pages each; those of every other one come back */
        sim.answer_us = i % 2 == 0 ? 5000000 : 10;
        assert_int_equal(vf_state_begin(&vfs[i], VF_STATE_STOPPED), STATUS_OK);
        assert_false(vf_state_done(&vfs[i], 0, &status));
    }
    time_delay_us(20);
    for (unsigned i = 1; i < 5; i += 2) {
        assert_true(vf_state_done(&vfs[i], 20, &status));
        assert_int_equal(status, STATUS_OK);
    }
    assert_int_equal(read_all(SIM_STATE_MAX, &size), STATUS_OK);
    assert_true(sim.parts > 5);
    assert_int_equal(size, 150000);
    assert_memory_equal(buffer, sim_state.blob, size);
    assert_int_equal(vf_state_write(vf, sim_state.blob, size), STATUS_OK);
    assert_memory_equal(sim_state.restored, sim_state.blob, size);
    time_delay_us(5000000);
    for (unsigned i = 2; i < 5; i += 2) {
        assert_true(vf_state_done(&vfs[i], 20, &status));
        assert_int_equal(status, STATUS_OK);
    }
    tear_down();
}

/* Written in as few commands as there can be, with no part cut. */
static void test_write(void **state)
{
    set_up(VF_STATE_PARTS, 3000);
    sim_state.log[0] = '\0';
    assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size), STATUS_OK);
    assert_string_equal(sim_state.log, "W");
    assert_int_equal(sim_state.restored_size, sim_state.size);
    assert_memory_equal(sim_state.restored, sim_state.blob, sim_state.size);
    assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size - 1), STATUS_INVALID);
    tear_down();
    sim_state_reset(VF_STATE_PARTS, 52000); /* its parts, but more than a thousand of them: no */
    start();
    assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size), STATUS_INVALID);
    assert_true(fake_log_contains("has too many parts"));
    tear_down();
}

/* Several commands, of which a later one fails: nothing says then that the VF is as it was. */
static void test_write_fails(void **state)
{
    static const struct {
        uint32_t after;
        enum status wanted;
    } cases[] = {
        {0, STATUS_INVALID},
        {1, STATUS_INVALID}
    };
    uint8_t *at = sim_state.blob;

    set_up(VF_STATE_PARTS, 100);
    sim_state.size = 0;
    for (unsigned i = 0; i < 3; i++) { /* three parts of 40,000 bytes: a command for each */
        const uint32_t length = 40000 - 16;
        const uint16_t type = (uint16_t)(0x300 + i);

        memset(at, 0, 40000);
        memcpy(at, &type, 2);
        memcpy(at + 12, &length, 4);
        at += 40000;
    }
    sim_state.log[0] = '\0';
    assert_int_equal(vf_state_write(vf, sim_state.blob, 120000), STATUS_OK);
    assert_string_equal(sim_state.log, "WWW");
    assert_memory_equal(sim_state.restored, sim_state.blob, 120000);
    sim.fail_count = 1;
    sim.fail_only = VIRTIO_ADMIN_PARTS_SET;
    sim.fail_status = 22;
    sim.fail_qualifier = 3;
    assert_int_equal(vf_state_write(vf, sim_state.blob, 120000), STATUS_INVALID);
    sim.fail_count = 1;
    sim.fail_after = 1;
    assert_int_equal(vf_state_write(vf, sim_state.blob, 120000), STATUS_DEVICE);
    uint32_t length = VIRTIO_ADMIN_DATA_MAX; /* a part that no command can carry */

    memcpy(sim_state.blob + 12, &length, 4);
    assert_int_equal(vf_state_write(vf, sim_state.blob, 16 + length), STATUS_UNSUPPORTED);
    tear_down();
    set_up(VF_STATE_2021, 100000);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        sim.fail_count = 1;
        sim.fail_only = VIRTIO_2021_RESTORE;
        sim.fail_after = cases[i].after;
        sim.fail_status = 1;
        sim.fail_qualifier = 0x80;
        assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size), cases[i].wanted);
    }
    tear_down();
}

/* Only of what is frozen, and only where the PF can. */
static void test_levels(void **state)
{
    uint32_t size;

    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        set_up(both[k], 3000);
        assert_int_equal(vf_state_to(vf, VF_STATE_STOPPED), STATUS_OK);
        assert_int_equal(vf_state_open_save(vf, &size), STATUS_STATE);
        assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size), STATUS_STATE);
        tear_down();
    }
    sim_state_reset(VF_STATE_NONE, 0);
    struct virtio_dma memory = sim_memory();
    const struct ram ram = {.below_4g = 64 * PAGE_SIZE};

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    vf_state_probe(&control, &pf, 3);
    vf_state_open(vf, &control, 1);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_UNSUPPORTED);
    assert_int_equal(vf_state_write(vf, buffer, 8), STATUS_UNSUPPORTED);
    assert_int_equal(vf_state_track(vf, &ram, NULL), STATUS_UNSUPPORTED);
    vf_state_close(vf);
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

/* ---- A device that lies ---- */

static void test_sizes(void **state)
{
    static const uint32_t sizes[] = {1, 3, VF_STATE_SIZE_MAX + 1, UINT32_MAX};
    uint32_t size, got;

    for (unsigned k = 0; k < ARRAY_SIZE(both); k++) {
        set_up(both[k], 3000);
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            sim_state.claimed = sizes[i];
            assert_int_equal(vf_state_open_save(vf, &size), STATUS_DEVICE);
            assert_int_equal(size, 0);
            assert_int_equal(vf_state_read(vf, 0, buffer, 8, &got), STATUS_STATE);
        }
        sim_state.claimed = 0;
        tear_down();
    }
    set_up(VF_STATE_PARTS, 3000);
    sim_state.claimed = sim_state.size + 500; /* the most, not what it is */
    assert_int_equal(read_all(1000, &size), STATUS_OK);
    assert_int_equal(size, sim_state.size);
    sim_state.claimed = sim_state.size - 1; /* and then there is more */
    assert_int_equal(read_all(1000, &size), STATUS_NO_MEMORY);
    assert_true(fake_log_contains("DEV_PARTS_GET"));
    sim_state.claimed = 0;
    tear_down();
    set_up(VF_STATE_2021, 3000);
    sim_state.claimed = sim_state.size + 1;
    assert_int_equal(read_all(1000, &size), STATUS_INVALID);
    sim_state.claimed = 0;
    tear_down();
}

/* Answers that are cut off, and a state that is another one at the second look. */
static void test_changes(void **state)
{
    uint32_t size, got;

    set_up(VF_STATE_PARTS, 3000);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    assert_int_equal(vf_state_read(vf, 0, buffer, 1000, &got), STATUS_OK);
    sim_state.size -= 48;
    assert_int_equal(vf_state_read(vf, 1000, buffer, 1000, &got), STATUS_DEVICE);
    assert_int_equal(got, 0);
    sim_state.size += 96;
    assert_int_equal(vf_state_read(vf, 1000, buffer, 1000, &got), STATUS_NO_MEMORY);
    vf_state_close(vf);
    sim.result_cut = 3; /* of the size */
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_DEVICE);
    sim.result_cut = 0;
    tear_down();
    set_up(VF_STATE_PARTS, 3000);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    sim.result_cut = UINT32_MAX;
    assert_int_equal(vf_state_read(vf, 0, buffer, 1000, &got), STATUS_DEVICE);
    sim.result_cut = 5;
    assert_int_equal(vf_state_read(vf, 0, buffer, 5000, &got), STATUS_OK);
    assert_int_equal(vf_state_check(VF_STATE_PARTS, buffer, got), STATUS_INVALID);
    sim.result_cut = 0;
    vf_state_close(vf);
    tear_down();
    set_up(VF_STATE_2021, 3000);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    sim.result_cut = 5;
    assert_int_equal(vf_state_read(vf, 0, buffer, 1000, &got), STATUS_DEVICE);
    assert_int_equal(got, 0);
    sim.result_cut = 0;
    vf_state_close(vf);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_state_size_need_not_be_aligned),
        cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
