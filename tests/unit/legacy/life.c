/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs come, break, are reset and go. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/legacy/guest.h"

#include <string.h>

#define VF fake.vf[0]
#define F  (&guest_function[0])

static int setup(void **state)
{
    guest_transport = LEGACY_TRANSPORT_MMR;
    guest_start(1, 2);
    config_out(0, 4, 2, 7);
    config_out(1, 4, 2, 7);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

static enum status add(const struct legacy_setup *given)
{
    return legacy_add(&guest, &guest_function[guest.count % FAKE_VFS], given);
}

static void setups_that_make_no_sense_are_refused(void **state)
{
    struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_MMR);

    given.type = 6;
    assert_int_equal(add(&given), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("VF 0000:03:00.2 cannot be given to it: its type has no"));
    given = fake_setup(2, LEGACY_TRANSPORT_MMR);
    given.vectors = 0;
    assert_int_equal(add(&given), STATUS_UNSUPPORTED);
    given = fake_setup(2, LEGACY_TRANSPORT_MMR);
    given.block_length = 23;
    assert_int_equal(add(&given), STATUS_INVALID);
    given = fake_setup(2, LEGACY_TRANSPORT_MMR);
    given.block_offset = 2;
    assert_int_equal(add(&given), STATUS_INVALID);
    assert_int_equal(guest.count, 2);
    given = fake_setup(2, LEGACY_TRANSPORT_MMR);
    assert_int_equal(add(&given), STATUS_OK);
}

static void a_full_set_takes_no_more(void **state)
{
    static struct legacy_function function[LEGACY_FUNCTIONS_MAX + 1];
    struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_MMR);
    enum status status = STATUS_OK;

    legacy_release(&guest);
    for (unsigned i = 0; i <= LEGACY_FUNCTIONS_MAX; i++) {
        assert_int_equal(status, STATUS_OK);
        memset(fake.vf[2].entry, 0, sizeof(fake.vf[2].entry)); /* stands in for seventeen VFs */
        given.slot = (uint8_t)(2 + i);
        status = legacy_add(&guest, &function[i], &given);
    }
    assert_int_equal(status, STATUS_NO_MEMORY);
    assert_true(legacy_notify(&guest, IO(15) + LEGACY_QUEUE_NOTIFY, 0));
    legacy_init(&guest, "test");
}

static void more_vectors_than_the_table_holds_are_cut(void **state)
{
    struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_MMR);

    given.vectors = 2048;
    assert_int_equal(add(&given), STATUS_OK);
    assert_int_equal(config_in(2, 0x42, 2), LEGACY_VECTORS_MAX - 1);
}

static void a_vf_that_does_not_work_is_not_added(void **state)
{
    struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_MMR);

    fake.vf[2].flr_fails = true;
    assert_int_equal(add(&given), STATUS_TIMEOUT);
    fake.vf[2].flr_fails = false;
    fake.vf[2].dead = true;
    assert_int_equal(add(&given), STATUS_DEVICE);
    fake.vf[2].dead = false;
    fake.vf[2].vector_limit = 0;
    assert_int_equal(add(&given), STATUS_DEVICE);
    fake.vf[2].vector_limit = FAKE_ENTRIES;
    fake.vf[2].vmm_vectors = 0;
    assert_int_equal(add(&given), STATUS_DEVICE);
    assert_int_equal(guest.count, 2);
    assert_int_equal(config_in(2, 0, 4), 0xffffffff);
}

static void dma_is_off_until_a_driver_is_there(void **state)
{
    guest_start(1, 1);
    assert_false(VF.bus_master);
    assert_int_equal(VF.flrs, 1);
    assert_true(VF.msix);
}

static void machine_reset_resets_the_vf(void **state)
{
    config_out(0, 0x10, 4, 0x3000);
    config_out(0, 0x14, 4, 0xfeb00000);
    config_out(0, 0x3c, 1, 5);
    out(0x3000 + LEGACY_QUEUE_PFN, 4, 0x10);
    fake_complete(F, 0);
    assert_true(fake.line[0]);
    guest_msix(0, MSIX_ON | MSIX_MASK);
    legacy_reset(&guest);
    assert_int_equal(VF.flrs, 2);
    assert_false(VF.bus_master);
    assert_false(fake.line[0]);
    assert_int_equal(VF.queue[0].pfn, 0);
    assert_int_equal(VF.config_vector, 0);
    assert_int_equal(config_in(0, 4, 2), 3);
    assert_int_equal(config_in(0, 0x10, 4), IO(0) | 1);
    assert_int_equal(config_in(0, 0x14, 4), MMIO(0));
    assert_int_equal(config_in(0, 0x3c, 1), 11);
    assert_int_equal(config_in(0, 0x42, 2), FAKE_ENTRIES - 1);
    assert_int_equal(mmio_in(0, 12), 1);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 256);
    assert_int_equal(in(0x3000, 4), 0xffffffff);
    config_out(0, 4, 2, 7);
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* With MSI-X and a message per completion, until it is reset. */
static void silence_lasts_until_the_reset(void **state)
{
    guest_msix(0, MSIX_ON);
    guest_queue(0, 0, 0x10);
    legacy_silence(&guest);
    assert_false(VF.bus_master);
    assert_false(fake.line[0]);
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        assert_false(VF.entry[i].open);
    }
    legacy_silence(&guest);
    legacy_reset(&guest);
    assert_int_equal(VF.flrs, 2);
    config_out(0, 4, 2, 7);
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

static void release_leaves_it_quiet(void **state)
{
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    legacy_release(&guest);
    assert_false(VF.bus_master);
    assert_false(VF.msix);
    assert_false(fake.line[0]);
    assert_int_equal(VF.flrs, 2);
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        assert_false(VF.entry[i].open);
    }
    assert_int_equal(in(IO(0), 4), 0xffffffff);
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 0));
}

/* However many there are: they are reset at the same time. */
static void all_vfs_are_reset_at_once(void **state)
{
    unsigned before = fake.flr_rounds;

    fake.vf[1].flr_fails = true;
    legacy_reset(&guest);
    assert_int_equal(fake.flr_rounds, before + 1);
    assert_int_equal(fake.vf[0].flrs, 2);
    assert_int_equal(fake.vf[1].flrs, 2);
    assert_false(guest_function[0].state.lost);
    assert_true(guest_function[1].state.lost);
    assert_true(fake_log_contains("VF 0000:03:00.1 (slot 3) cannot be reset"));
    fake.vf[1].flr_fails = false;
    fake.vf[0].flr_fails = true;
    legacy_release(&guest);
    assert_int_equal(fake.flr_rounds, before + 2);
    assert_true(fake_log_contains("VF 0000:03:00.0 cannot be reset; do not give it"));
    assert_false(fake_log_contains("VF 0000:03:00.1 cannot be reset; do not give it"));
}

/* What a lost VF looks like, and that its neighbour does not care. */
static void check_lost(const char *why)
{
    uint64_t value = 0;

    assert_true(F->state.lost);
    assert_true(fake_log_contains("VM test: VF 0000:03:00.0 (slot 2) "));
    assert_true(fake_log_contains(why));
    assert_false(fake.line[0]);
    assert_false(VF.bus_master);
    assert_int_equal(config_in(0, 0, 4), 0xffffffff);
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 0xff);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 0xff);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SIZE, 2), 0xffff);
    assert_int_equal(in(IO(0) + LEGACY_HOST_FEATURES, 4), 0xffffffff);
    assert_int_equal(in(IO(0) + LEGACY_HEADER_INTX, 4), 0xffffffff);
    assert_true(legacy_mmio_read(&guest, gpa(MMIO(0)), 4, &value));
    assert_int_equal(value, 0xffffffff);
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 1));
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 1);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    config_out(0, 0x42, 2, MSIX_ON);
    legacy_interrupt(F, 1);
    assert_false(fake.line[0]);
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        assert_false(VF.entry[i].open);
    }
    guest_queue(1, 0, 0x10);
    fake_complete(&guest_function[1], 0);
    assert_int_equal(in(IO(1) + LEGACY_ISR, 1), 1);
}

static void all_ones_means_lost(void **state)
{
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    VF.dead = true;
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 0);
    check_lost("answers all ones");
}

static void all_ones_in_one_register_means_nothing(void **state)
{
    for (unsigned i = 0; i < 24; i++) {
        VF.config[i] = 0xff;
    }
    assert_int_equal(in(IO(0) + LEGACY_HEADER_INTX, 4), 0xffffffff);
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, 0xffffffff);
    (void)in(IO(0) + LEGACY_GUEST_FEATURES, 4);
    out(IO(0) + LEGACY_STATUS, 1, 0xff); /* a guest cannot make it look lost */
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), LEGACY_STATUS_BITS);
    assert_false(F->state.lost);
}

static void a_reset_without_end_means_lost(void **state)
{
    VF.never_resets = true;
    out(IO(0) + LEGACY_STATUS, 1, 7);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    check_lost("did not finish a reset within 1 s");
}

static void a_vm_that_stops_waits_for_no_reset(void **state)
{
    VF.never_resets = true;
    fake.stops_at = 1000;
    out(IO(0) + LEGACY_STATUS, 1, 7);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    assert_in_range(fake.waits, 1, 3);
    check_lost("did not finish a reset before its VM was stopped");
}

static void a_long_reset_is_waited_for(void **state)
{
    VF.slow_reset = 900; /* looks, of a millisecond each */
    out(IO(0) + LEGACY_STATUS, 1, 7);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    assert_false(F->state.lost);
    assert_int_equal(VF.status, 0);
    assert_in_range(fake.waits, 800, 900); /* the CPU's own work went on */
}

static void a_vf_may_lose_its_vectors(void **state)
{
    VF.vector_limit = 0;
    guest_queue(0, 0, 0x10);
    assert_int_equal(VF.queue[0].pfn, 0);
    check_lost("does not take an interrupt vector for a queue");
}

static void a_machine_reset_tries_again(void **state)
{
    VF.dead = true;
    (void)in(IO(0) + LEGACY_STATUS, 1);
    assert_true(F->state.lost);
    legacy_reset(&guest);
    assert_true(F->state.lost);
    assert_int_equal(config_in(0, 0, 4), 0xffffffff);
    VF.dead = false;
    legacy_reset(&guest);
    assert_false(F->state.lost);
    config_out(0, 4, 2, 7);
    guest_queue(0, 0, 0x10);
    assert_true(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 3));
    fake_complete(F, 0);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 1);
}

/* ---- The administration queue ---- */

static int setup_admin(void **state)
{
    guest_transport = LEGACY_TRANSPORT_ADMIN;
    guest_start(1, 2);
    config_out(0, 4, 2, 7);
    config_out(1, 4, 2, 7);
    return 0;
}

static void commands_without_answer_mean_lost(void **state)
{
    guest_queue(0, 0, 0x10);
    VF.dead = true;
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 0xff);
    check_lost("gets no answers to commands of its PF");
}

static void unknown_to_its_pf_means_lost(void **state)
{
    guest_queue(0, 0, 0x10);
    VF.unknown = true;
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 0xff);
    check_lost("is gone, as its PF says");
}

static void refused_commands_read_all_ones(void **state)
{
    VF.config_size = 8; /* the device has less than its type can have */
    assert_int_equal(in(IO(0) + LEGACY_HEADER_INTX + 8, 2), 0xffff);
    assert_int_equal(F->counters.refused, 1);
    assert_false(F->state.lost);
    VF.bad = 0;
}

/* A network's configuration by commands is as long as registers in memory say it is. */
static void a_network_has_the_fields_of_its_features(void **state)
{
    static const struct {
        uint32_t features;
        uint8_t length;
    } cases[] = {
        {0x79bf8064U,         8 },
        {1U << 22 | 1U << 16, 10},
        {1U << 3,             12},
        {1U << 5,             6 }
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_ADMIN);

        fake.vf[2].features = cases[i].features;
        legacy_init(&guest, "test");
        assert_int_equal(legacy_add(&guest, &guest_function[2], &given), STATUS_OK);
        assert_int_equal(guest_function[2].config_length, cases[i].length);
    }
}

static uint16_t *doorbell_with(const uint8_t *entries, size_t size)
{
    struct legacy_setup given = fake_setup(2, LEGACY_TRANSPORT_ADMIN);

    memset(fake.vf[2].notify_reply, 0, sizeof(fake.vf[2].notify_reply));
    memcpy(fake.vf[2].notify_reply, entries, size);
    memset(fake.vf[2].entry, 0, sizeof(fake.vf[2].entry));
    legacy_init(&guest, "test");
    assert_int_equal(legacy_add(&guest, &guest_function[2], &given), STATUS_OK);
    uint16_t *doorbell = (uint16_t *)(uintptr_t)guest_function[2].doorbell;

    legacy_release(&guest);
    assert_int_equal(fake.vf[2].bad, 0);
    return doorbell;
}

static void only_sound_notification_entries_are_used(void **state)
{
    static const uint8_t good[16] = {2, 2, [8] = 0x40};
    static const uint8_t after_bad[4][16] = {
        {3, 2, [8] = 0x40}, /* no such flags */
        {2, 6, [8] = 0x40}, /* no such BAR */
        {2, 2, [8] = 0x41}, /* odd */
        {2, 2, [8] = 0x40},
    };
    static const uint8_t outside_first[2][16] = {
        {2, 2, [8] = 0x80},
        {2, 2, [8] = 0x40},
    };
    static const uint8_t after_end[2][16] = {
        {0,  0         },
        { 2, 2, [8] = 0x40},
    };
    static const uint8_t high_offset[16] = {2, 2, [8] = 0x40, [15] = 1};

    assert_ptr_equal(doorbell_with(good, sizeof(good)), &fake.vf[2].doorbell);
    assert_ptr_equal(doorbell_with(after_bad[0], sizeof(after_bad)), &fake.vf[2].doorbell);
    assert_ptr_equal(doorbell_with(outside_first[0], sizeof(outside_first)), &fake.vf[2].doorbell);
    assert_null(doorbell_with(after_end[0], sizeof(after_end)));
    assert_null(doorbell_with(high_offset, sizeof(high_offset)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(setups_that_make_no_sense_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_set_takes_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(more_vectors_than_the_table_holds_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_vf_that_does_not_work_is_not_added, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_is_off_until_a_driver_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(machine_reset_resets_the_vf, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_lasts_until_the_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(release_leaves_it_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(all_vfs_are_reset_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(all_ones_means_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(all_ones_in_one_register_means_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_without_end_means_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_vm_that_stops_waits_for_no_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_reset_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_vf_may_lose_its_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(a_machine_reset_tries_again, setup, teardown),
        cmocka_unit_test_setup_teardown(commands_without_answer_mean_lost, setup_admin, teardown),
        cmocka_unit_test_setup_teardown(unknown_to_its_pf_means_lost, setup_admin, teardown),
        cmocka_unit_test_setup_teardown(refused_commands_read_all_ones, setup_admin, teardown),
        cmocka_unit_test_setup_teardown(a_network_has_the_fields_of_its_features, setup_admin,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_sound_notification_entries_are_used, setup_admin,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
