/* SPDX-License-Identifier: BSD-2-Clause */
/* Resource objects of virtio 1.4: none is left behind, and no id is used twice. */
#include "tests/unit/virtio/vf_data_unit.h"

/* Whatever fails, no object is left behind, and the second attempt succeeds. */
static void test_objects_freed(void **state)
{
    static const uint16_t opcodes[] = {VIRTIO_ADMIN_OBJECT_CREATE, VIRTIO_ADMIN_PARTS_METADATA,
                                       VIRTIO_ADMIN_PARTS_GET, VIRTIO_ADMIN_PARTS_SET};
    uint32_t size;

    set_up(VF_STATE_PARTS, 3000);
    for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
        sim.fail_count = SIM_FOR_EVER;
        sim.fail_only = opcodes[i];
        sim.fail_status = 22;
        sim.fail_qualifier = 1;
        bool set = opcodes[i] == VIRTIO_ADMIN_PARTS_SET;

        assert_int_equal(set ? vf_state_write(vf, sim_state.blob, sim_state.size)
                             : read_all(1000, &size),
                         STATUS_DEVICE);
        assert_int_equal(sim_state_objects(), 0);
        assert_int_equal(control.ids, 0);
        assert_true(fake_log_contains(virtio_admin_opcode_name(opcodes[i])));
        sim.fail_count = 0;
        assert_int_equal(read_all(1000, &size), STATUS_OK);
        assert_int_equal(vf_state_write(vf, sim_state.blob, sim_state.size), STATUS_OK);
    }
    tear_down();
}

/* Ids are the PF's: three to get, two to set; what is taken at the device is left alone. */
static void test_object_ids(void **state)
{
    uint32_t size;

    set_up(VF_STATE_PARTS, 3000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vf_state_open_save(&vfs[i], &size), STATUS_OK);
        assert_int_equal(vfs[i].object, i);
    }
    uint64_t sent = sim.commands;

    assert_int_equal(vf_state_open_save(&vfs[3], &size), STATUS_NO_MEMORY);
    assert_int_equal(sim.commands, sent);
    assert_int_equal(vf_state_write(&vfs[3], sim_state.blob, sim_state.size), STATUS_OK);
    assert_int_equal(sim_state.most_objects, 4);
    vf_state_close(&vfs[1]);
    assert_int_equal(vf_state_open_save(&vfs[3], &size), STATUS_OK);
    assert_int_equal(vfs[3].object, 1);
    for (unsigned i = 0; i < 4; i++) {
        vf_state_close(&vfs[i]);
        vf_state_close(&vfs[i]); /* harmless */
    }
    assert_int_equal(control.ids, 0);
    sim_state.object[0].used = true; /* somebody's, of whom nobody here knows */
    sim_state.object[0].member = 5;
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    assert_int_equal(vf->object, 1);
    vf_state_close(vf);
    assert_int_equal(control.ids, 1);
    sim_state.object[0].used = false;
    control.ids = 0;
    tear_down();
}

/* One that cannot be destroyed keeps its id; one that is gone already does not. */
static void test_destroy_fails(void **state)
{
    uint32_t size;

    set_up(VF_STATE_PARTS, 3000);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    sim_state.object[0].used = false;
    vf_state_close(vf);
    assert_int_equal(control.ids, 0);
    sim.fail_only = VIRTIO_ADMIN_OBJECT_DESTROY;
    sim.fail_status = 22;
    sim.fail_count = SIM_FOR_EVER;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(read_all(1000, &size), STATUS_OK);
    }
    assert_int_equal(control.ids, 7);
    assert_true(fake_log_contains("RESOURCE_OBJ_DESTROY"));
    assert_int_equal(read_all(1000, &size), STATUS_NO_MEMORY);
    assert_int_equal(control.ids, 7);
    sim.fail_count = 0; /* and then they can be, when they are needed */
    assert_int_equal(read_all(1000, &size), STATUS_OK);
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_OK);
    assert_int_equal(sim_state_objects(), 3);
    vf_state_close(vf);
    sim.fail_count = SIM_FOR_EVER;
    for (unsigned i = 0; i < 3; i++) {
        (void)read_all(1000, &size);
    }
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK); /* which ends them all */
    memset(sim_state.object, 0, sizeof(sim_state.object));
    sim.fail_count = 0;
    start();
    assert_int_equal(read_all(1000, &size), STATUS_OK);
    tear_down();
}

/* A creation whose answer never came may have made it. */
static void test_create_unanswered(void **state)
{
    uint32_t size;

    set_up(VF_STATE_PARTS, 3000);
    sim.slow_only = VIRTIO_ADMIN_OBJECT_CREATE;
    sim.answer_us = 10000000;
    assert_int_equal(vf_state_open_save(vf, &size), STATUS_TIMEOUT);
    assert_int_equal(control.ids, 1);
    for (unsigned i = 0; i < 5; i++) { /* owed: never sent, and uses no id up */
        assert_int_equal(vf_state_open_save(vf, &size), STATUS_TIMEOUT);
        assert_int_equal(control.ids, 1);
    }
    sim.answer_us = 0;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    memset(sim_state.object, 0, sizeof(sim_state.object));
}

/* An id of which nobody knows whether the device has it is not used before it is certain that it
 * has not: neither while the answer is owed, nor after an FLR, nor when it has come. */
static void test_ids_after_time_outs(void **state)
{
    uint32_t size;

    set_up(VF_STATE_PARTS, 3000);
    sim.slow_only = VIRTIO_ADMIN_OBJECT_CREATE;
    sim.answer_us = 10000000;
    assert_int_equal(vf_state_open_save(vf, &size),
                     STATUS_TIMEOUT); /* id 0: it is made in the end */
    sim.answer_us = 0;
    assert_int_equal(vf_state_open_save(&vfs[1], &size), STATUS_OK);
    assert_int_equal(vfs[1].object, 1);
    sim.slow_only = VIRTIO_ADMIN_OBJECT_DESTROY;
    sim.answer_us = 10000000;
    vf_state_close(&vfs[1]); /* id 1: nobody knows */
    sim.answer_us = 0;
    for (unsigned i = 0; i < 2; i++) {
        vf_state_open(&vfs[i], &control, (uint16_t)(i + 1)); /* an FLR */
    }
    assert_int_equal(vf_state_open_save(&vfs[2], &size), STATUS_OK);
    assert_int_equal(vfs[2].object, 2);
    assert_int_equal(vf_state_open_save(&vfs[3], &size), STATUS_NO_MEMORY); /* both are owed */
    time_delay_us(10000000);
    fake_log_clear();
    assert_int_equal(vf_state_open_save(&vfs[3], &size), STATUS_OK); /* after id 0 was destroyed */
    assert_int_equal(vfs[3].object, 0);
    assert_int_equal(vf_state_open_save(&vfs[4], &size), STATUS_OK); /* 1 was gone */
    assert_int_equal(vfs[4].object, 1);
    assert_false(fake_log_contains("EEXIST"));
    assert_int_equal(sim_state.most_objects, 3);
    for (unsigned i = 2; i < 5; i++) {
        vf_state_close(&vfs[i]);
    }
    assert_int_equal(control.ids, 0);
    assert_int_equal(sim_state_objects(), 0);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_freed),       cmocka_unit_test(test_object_ids),
        cmocka_unit_test(test_destroy_fails),       cmocka_unit_test(test_create_unanswered),
        cmocka_unit_test(test_ids_after_time_outs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
