/* SPDX-License-Identifier: BSD-2-Clause */
/* A function goes from VF 0 to VF 1 while its guest uses it. */
#include "tests/unit/legacy/move_unit.h"

/* ---- INTx ---- */

/* The two functions drive the same line of the pc: what the old one last did to it counts no more.
 */
static void line_and_isr_go_along(void **unused)
{
    use_intx();
    fake_config_change(OLD);
    assert_true(fake.line[0]);
    move(false);
    assert_true(fake.line[0]); /* not touched when the old VF went */
    assert_true(fake.line[1]);
    check_old(&fake.vf[0]);
    assert_true(fake.vf[1].bus_master);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
    assert_false(fake.line[1]);
    assert_int_equal(in(ISR, 1), 0);
    fake_complete(NEW, 1);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
    assert_int_equal(fake.messages, 0);
}

static void notify_stuck_after_resume_kick_every_queue(void **unused)
{
    use_intx();
    NEW->doorbell = NULL; /* so that each notification is seen */
    fake_forget(1);
    move(false);
    assert_int_equal(fake_writes(1, LEGACY_QUEUE_NOTIFY, 0), 1);
    assert_int_equal(fake_writes(1, LEGACY_QUEUE_NOTIFY, 1), 1);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
}

/* Nor told to look into what is empty; its driver is told all the same. */
static void idle_queues_only_interrupt(void **unused)
{
    use_msix();
    NEW->doorbell = NULL;
    fake_forget(1);
    idle[0] = 2;
    move(false);
    assert_int_equal(fake_writes(1, LEGACY_QUEUE_NOTIFY, 0), 1);
    assert_int_equal(fake_writes(1, LEGACY_QUEUE_NOTIFY, 1), 0);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    assert_int_equal(guest_messages(VECTOR(2)), 1);
}

static void nobody_is_told_without_queues(void **unused)
{
    move(true);
    assert_false(fake.line[1]);
    assert_int_equal(fake.rises[1], 0);
    assert_int_equal(in(ISR, 1), 0);
}

static void disabled_intx_stays_so(void **unused)
{
    use_intx();
    config_out(0, 4, 2, ON | 0x400);
    move(false);
    assert_false(fake.line[1]);
    assert_int_equal(config_in(0, 6, 2) & 8, 8);
    config_out(0, 4, 2, ON);
    assert_true(fake.line[1]);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
}

static void one_vector_for_both_goes_along(void **unused)
{
    fake.vf[0].vector_limit = fake.vf[1].vector_limit = 1;
    use_intx();
    move(false);
    (void)in(ISR, 1);
    fake_complete(NEW, 0);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
}

static void news_are_told_by_intx(void **unused)
{
    use_intx();
    move(true);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
}

/* ---- MSI-X ---- */

static void news_are_told_by_message(void **unused)
{
    use_msix();
    move(true);
    assert_int_equal(guest_messages(VECTOR(0)), 1);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    assert_int_equal(guest_messages(VECTOR(2)), 1);
    assert_int_equal(fake.messages, 3);
}

static void messages_of_the_pause_arrive_once(void **unused)
{
    use_msix();
    legacy_pause(&guest);
    fake_config_change(OLD);
    fake_complete(OLD, 0);
    assert_int_equal(exchange(OLD, NEW), STATUS_OK);
    fake_complete(OLD, 1); /* too late for the state; each queue has an interrupt all the same */
    carry_device(0, 1);
    fake_complete(NEW, 1);
    assert_int_equal(fake.messages, 0);
    finish(OLD, NEW, false);
    assert_int_equal(fake.messages, 3);
    for (unsigned entry = 0; entry <= QUEUES; entry++) {
        assert_int_equal(guest_messages(VECTOR(entry)), 1);
        assert_false(fake.vf[1].entry[entry].masked);
    }
    fake_complete(NEW, 1);
    assert_int_equal(guest_messages(VECTOR(2)), 2);
    check_old(&fake.vf[0]);
}

/* The device's state has numbers of entries as they were once, or none: what the guest has set
 * counts, in the old VF's place. */
static void msix_vectors_in_saved_state_are_stale(void **unused)
{
    for (uint16_t stale = 0; stale < 3; stale++) {
        (void)setup(NULL);
        use_msix();
        legacy_pause(&guest);
        assert_int_equal(exchange(OLD, NEW), STATUS_OK);
        carry_device(0, 1);
        fake.vf[1].config_vector = stale == 0 ? LEGACY_NO_VECTOR : (uint16_t)(7 - stale);
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            fake.vf[1].queue[queue].vector = stale == 0 ? LEGACY_NO_VECTOR : (uint16_t)stale % 2;
        }
        finish(OLD, NEW, false);
        assert_int_equal(fake.vf[1].config_vector, 0);
        fake.messages = 0;
        fake_complete(NEW, 0);
        fake_complete(NEW, 1);
        fake_config_change(NEW);
        for (unsigned entry = 0; entry <= QUEUES; entry++) {
            assert_int_equal(guest_messages(VECTOR(entry)), 1);
        }
        assert_int_equal(fake.messages, 3);
    }
}

/* It is in no state, and no queue's interrupt tells of it. */
static void config_change_after_save_goes_along(void **unused)
{
    use_msix();
    legacy_pause(&guest);
    carried = *legacy_save(OLD);
    fake_config_change(OLD);
    legacy_hand_over(OLD, NEW);
    assert_int_equal(legacy_load(NEW, &carried), STATUS_OK);
    assert_int_equal(legacy_open_vectors(NEW, OLD), STATUS_OK);
    carry_device(0, 1);
    finish(OLD, NEW, false);
    assert_int_equal(guest_messages(VECTOR(0)), 1);
    assert_int_equal(fake.messages, 3);
}

static void config_change_after_save_by_intx(void **unused)
{
    use_intx();
    legacy_pause(&guest);
    assert_int_equal(exchange(OLD, NEW), STATUS_OK);
    fake_config_change(OLD); /* its vectors are still there */
    carry_device(0, 1);
    finish(OLD, NEW, false);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
}

/* What the guest counts on, and the device's state need not have: written where it is not there. */
static void config_is_written_where_it_differs(void **unused)
{
    use_intx();
    memcpy(fake.vf[1].config, "\x52\x54\0\0\0\1", 6);
    legacy_pause(&guest);
    carried = *legacy_save(OLD);
    memcpy(carried.device_config, "\x52\x54\0\0\0\2", 6);
    memset(carried.device_written, 1, 6);
    legacy_hand_over(OLD, NEW);
    assert_int_equal(legacy_load(NEW, &carried), STATUS_OK);
    assert_int_equal(legacy_open_vectors(NEW, OLD), STATUS_OK);
    carry_device(0, 1);
    fake_forget(1);
    finish(OLD, NEW, false);
    assert_memory_equal(fake.vf[1].config, "\x52\x54\0\0\0\2", 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(fake_writes(1, 0x18 + i, 0), 0);
        assert_int_equal(fake_writes(1, 0x18 + i, 2), i == 5);
    }
}

static void masked_entry_stays_pending(void **unused)
{
    use_msix();
    mmio_out(0, 16 + CTRL, 1);
    fake_complete(OLD, 0);
    assert_int_equal(mmio_in(0, PBA), 2);
    move(false);
    assert_int_equal(mmio_in(0, PBA), 2);
    assert_int_equal(guest_messages(VECTOR(1)), 0);
    assert_int_equal(guest_messages(VECTOR(2)), 1);
    fake_complete(NEW, 0);
    mmio_out(0, 16 + CTRL, 0);
    assert_int_equal(mmio_in(0, PBA), 0);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    fake_complete(NEW, 0);
    assert_int_equal(guest_messages(VECTOR(1)), 2);
}

static void masked_function_stays_so(void **unused)
{
    use_msix();
    guest_msix(0, MSIX_ON | MSIX_MASK);
    move(false);
    assert_int_equal(fake.messages, 0);
    assert_int_equal(mmio_in(0, PBA), 6);
    guest_msix(0, MSIX_ON);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    assert_int_equal(guest_messages(VECTOR(2)), 1);
}

/* ---- Failure, and the life after ---- */

static void without_vectors_the_old_one_goes_on(void **unused)
{
    use_msix();
    fake.vf[1].vmm_vectors = 1;
    legacy_pause(&guest);
    fake_complete(OLD, 0);
    assert_int_equal(exchange(OLD, NEW), STATUS_NO_MEMORY);
    legacy_hand_over(NEW, OLD);
    legacy_retire(NEW);
    legacy_poke(OLD, false, idle);
    legacy_resume(&guest);
    check_old(&fake.vf[1]);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    fake_complete(OLD, 0);
    assert_int_equal(guest_messages(VECTOR(1)), 2);
    assert_true(fake.vf[0].bus_master);
}

/* The VM is reset at once: the new VF with it, and not the old one. */
static void reset_is_the_new_ones(void **unused)
{
    unsigned resets = fake.vf[1].flrs;

    use_msix();
    move(true);
    legacy_silence(&guest);
    legacy_reset(&guest);
    assert_int_equal(fake.vf[1].flrs, resets + 1);
    check_old(&fake.vf[0]);
    assert_false(fake.line[1]);
    assert_int_equal(config_in(0, 0x42, 2), OLD->vectors - 1U);
    fake.messages = 0;
    config_out(0, 4, 2, ON);
    use_intx();
    fake_complete(NEW, 0);
    assert_true(fake.line[1]);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
    assert_int_equal(fake.messages, 0);
}

/* A device that is told to run reads its rings, also if its guest has switched Bus Master off. */
static void master_is_lent(void **unused)
{
    use_intx();
    config_out(0, 4, 2, ON & ~4U);
    legacy_pause(&guest);
    assert_int_equal(exchange(OLD, NEW), STATUS_OK);
    assert_false(fake.vf[1].bus_master);
    legacy_lend_master(NEW, true);
    assert_true(fake.vf[1].bus_master);
    assert_int_equal(legacy_save(NEW)->bus_master, 0);
    legacy_lend_master(NEW, false);
    assert_false(fake.vf[1].bus_master);
    carry_device(0, 1);
    finish(OLD, NEW, false);
    config_out(0, 4, 2, ON);
    assert_true(fake.vf[1].bus_master);
}

static void there_and_back(void **unused)
{
    use_msix();
    move(false);
    struct legacy_setup given = fake_setup(0, guest_transport);

    given.slot = NEW->setup.slot;
    legacy_init(&holder, "holder");
    assert_int_equal(legacy_add(&holder, OLD, &given), STATUS_OK);
    legacy_pause(&guest);
    assert_int_equal(exchange(NEW, OLD), STATUS_OK);
    carry_device(1, 0);
    finish(NEW, OLD, false);
    assert_int_equal(guest_messages(VECTOR(1)), 2);
    assert_int_equal(guest_messages(VECTOR(2)), 2);
    fake_complete(OLD, 1);
    assert_int_equal(guest_messages(VECTOR(2)), 3);
    check_old(&fake.vf[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_and_isr_go_along),
        BY_COMMANDS(line_and_isr_go_along),
        TEST(notify_stuck_after_resume_kick_every_queue),
        BY_COMMANDS(notify_stuck_after_resume_kick_every_queue),
        TEST(idle_queues_only_interrupt),
        TEST(nobody_is_told_without_queues),
        TEST(disabled_intx_stays_so),
        TEST(one_vector_for_both_goes_along),
        TEST(news_are_told_by_intx),
        TEST(news_are_told_by_message),
        TEST(messages_of_the_pause_arrive_once),
        BY_COMMANDS(messages_of_the_pause_arrive_once),
        TEST(msix_vectors_in_saved_state_are_stale),
        TEST(config_change_after_save_goes_along),
        TEST(config_change_after_save_by_intx),
        TEST(config_is_written_where_it_differs),
        BY_COMMANDS(config_is_written_where_it_differs),
        TEST(masked_entry_stays_pending),
        TEST(masked_function_stays_so),
        TEST(without_vectors_the_old_one_goes_on),
        TEST(reset_is_the_new_ones),
        TEST(master_is_lent),
        BY_COMMANDS(master_is_lent),
        TEST(there_and_back),
        BY_COMMANDS(there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
