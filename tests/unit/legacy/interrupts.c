/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X mediation and synthetic INTx. */
#include "tests/unit/legacy/guest.h"

#define VF   fake.vf[0]
#define F    (&guest_function[0])
#define ISR  (IO(0) + LEGACY_ISR)
#define CTRL 12U
#define PBA  LEGACY_PBA_OFFSET
#define DIS  0x0407U /* Command: all on, INTx disabled */
#define ON   0x0007U

static int setup(void **state)
{
    guest_start(1, 2);
    config_out(0, 4, 2, ON);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

/* MSI-X as a driver sets it up: entry 0 configuration, 1 and 2 the queues. */
static void use_msix(void)
{
    guest_msix(0, MSIX_ON);
    for (unsigned entry = 0; entry < 3; entry++) {
        guest_msix_entry(0, entry, (uint8_t)(0x40 + entry));
    }
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, 0);
    for (unsigned queue = 0; queue < 2; queue++) {
        guest_queue(0, queue, 0x100 + queue);
        out(IO(0) + LEGACY_QUEUE_VECTOR, 2, queue + 1);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), queue + 1);
    }
}

static void intx_has_vectors_of_its_own(void **state)
{
    assert_int_equal(VF.config_vector, 0);
    guest_queue(0, 0, 0x10);
    guest_queue(0, 1, 0x20);
    assert_int_equal(VF.queue[0].vector, 1);
    assert_int_equal(VF.queue[1].vector, 1);
    fake_complete(F, 1);
    assert_true(fake.line[0]);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
    assert_false(fake.line[0]);
    fake_config_change(F);
    fake_complete(F, 0);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
    assert_false(fake.line[0]);
    assert_int_equal(fake.rises[0], 2);
    assert_int_equal(fake.messages, 0);
}

static void vectors_are_there_before_the_ring(void **state)
{
    unsigned vector = 0;
    unsigned ring = 0;

    fake_forget(0);
    guest_queue(0, 0, 0x10);
    for (unsigned i = 0; i < VF.accesses; i++) {
        vector = VF.log[i].write && VF.log[i].offset == LEGACY_QUEUE_VECTOR ? i : vector;
        ring = VF.log[i].write && VF.log[i].offset == LEGACY_QUEUE_PFN ? i : ring;
    }
    assert_true(vector != 0 && vector < ring);
}

static void one_vector_serves_for_both(void **state)
{
    VF.vector_limit = 1;
    guest_queue(0, 0, 0x10);
    assert_int_equal(VF.queue[0].vector, 0);
    fake_complete(F, 0);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);

    guest_start(1, 0);
    fake.vf[0].vmm_vectors = 1;
    struct legacy_setup given = fake_setup(0, LEGACY_TRANSPORT_MMR);

    assert_int_equal(legacy_add(&guest, F, &given), STATUS_OK);
    config_out(0, 4, 2, ON);
    guest_queue(0, 0, 0x10);
    fake_config_change(F);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);

    guest_start(1, 0);
    given.vectors = 1;
    assert_int_equal(legacy_add(&guest, F, &given), STATUS_OK);
    config_out(0, 4, 2, ON);
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
}

static void reset_gives_new_vectors_and_a_low_line(void **state)
{
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_true(fake.line[0]);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    assert_false(fake.line[0]);
    assert_int_equal(in(ISR, 1), 0);
    assert_int_equal(VF.config_vector, 0);
    assert_int_equal(VF.queue[0].vector, LEGACY_NO_VECTOR);
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
}

static void intx_can_be_disabled(void **state)
{
    guest_queue(0, 0, 0x10);
    config_out(0, 4, 2, DIS);
    fake_complete(F, 0);
    assert_false(fake.line[0]);
    assert_int_equal(config_in(0, 6, 2), 0x0018); /* pending all the same */
    assert_int_equal(config_in(0, 4, 4), 0x00180407);
    assert_int_equal(config_in(0, 6, 1), 0x18);
    assert_int_equal(config_in(0, 7, 1), 0);
    assert_int_equal(config_in(0, 4, 2), DIS); /* in nothing but the status */
    assert_int_equal(config_in(0, 5, 1), 4);
    assert_int_equal(config_in(0, 8, 4), 0x02000000);
    config_out(0, 4, 2, ON);
    assert_true(fake.line[0]);
    config_out(0, 4, 2, DIS);
    assert_false(fake.line[0]);
    assert_int_equal(in(ISR, 1), 1);
    config_out(0, 4, 2, ON);
    assert_false(fake.line[0]);
    assert_int_equal(config_in(0, 6, 2), 0x0010);
}

static void messages_go_index_for_index(void **state)
{
    use_msix();
    assert_int_equal(VF.config_vector, 0);
    assert_int_equal(VF.queue[0].vector, 1);
    fake_complete(F, 0);
    fake_complete(F, 1);
    fake_complete(F, 1);
    fake_config_change(F);
    assert_int_equal(guest_messages(0x40), 1);
    assert_int_equal(guest_messages(0x41), 1);
    assert_int_equal(guest_messages(0x42), 2);
    assert_int_equal(fake.rises[0], 0);
    assert_int_equal(in(ISR, 1), 0);
}

static void a_masked_entry_keeps_its_message(void **state)
{
    use_msix();
    mmio_out(0, 16 + CTRL, 1);
    fake_complete(F, 0);
    fake_complete(F, 0);
    fake_complete(F, 1);
    assert_int_equal(guest_messages(0x41), 0);
    assert_int_equal(guest_messages(0x42), 1);
    assert_int_equal(mmio_in(0, PBA), 2);
    assert_true(VF.entry[1].masked); /* after the first: no storm on the VMM */
    assert_int_equal(F->counters.interrupts, 2);
    mmio_out(0, 16 + CTRL, 0);
    assert_int_equal(guest_messages(0x41), 1);
    assert_int_equal(mmio_in(0, PBA), 0);
    assert_true(fake_run(F)); /* the second one was pending in the VF */
    assert_int_equal(guest_messages(0x41), 2);
    fake_complete(F, 0);
    assert_int_equal(guest_messages(0x41), 3);
}

static void the_function_mask_keeps_all(void **state)
{
    use_msix();
    guest_msix(0, MSIX_ON | MSIX_MASK);
    fake_complete(F, 0);
    fake_complete(F, 1);
    fake_config_change(F);
    assert_int_equal(fake.messages, 0);
    assert_int_equal(mmio_in(0, PBA), 7);
    mmio_out(0, 16 + CTRL, 1);
    guest_msix(0, MSIX_ON);
    assert_int_equal(fake.messages, 2);
    assert_int_equal(mmio_in(0, PBA), 2);
    mmio_out(0, 16 + CTRL, 0);
    assert_int_equal(fake.messages, 3);
}

static void linux_enables_under_the_function_mask(void **state)
{
    guest_msix(0, MSIX_ON | MSIX_MASK);
    guest_msix_entry(0, 1, 0x51);
    guest_msix(0, MSIX_ON);
    guest_queue(0, 0, 1);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 1);
    fake_complete(F, 0);
    assert_int_equal(guest_messages(0x51), 1);
}

static void table_reads_back(void **state)
{
    assert_int_equal(mmio_in(0, CTRL), 1);
    mmio_out(0, 0x10, 0xfee01007);
    mmio_out(0, 0x14, 0xffffffff);
    mmio_out(0, 0x18, 0x12345678);
    mmio_out(0, 0x1c, 0xfffffffe);
    assert_int_equal(mmio_in(0, 0x10), 0xfee01004);
    assert_int_equal(mmio_in(0, 0x14), 0xffffffff);
    assert_int_equal(mmio_in(0, 0x18), 0x12345678);
    assert_int_equal(mmio_in(0, 0x1c), 0);
    mmio_out(0, 16 * FAKE_ENTRIES, 0xffffffff); /* behind the table */
    assert_int_equal(mmio_in(0, 16 * FAKE_ENTRIES), 0);
    mmio_out(0, PBA, 0xffffffff);
    assert_int_equal(mmio_in(0, PBA), 0);
    assert_int_equal(mmio_in(0, 0xffc), 0);
}

static void table_takes_words_and_pairs(void **state)
{
    uint64_t value = 0;

    assert_true(legacy_mmio_write(&guest, gpa(MMIO(0)), 8, 0x1fee00000ULL));
    assert_true(legacy_mmio_read(&guest, gpa(MMIO(0)), 8, &value));
    assert_true(value == 0x1fee00000ULL);
    assert_true(legacy_mmio_write(&guest, gpa(MMIO(0) + 8), 8, 0x44));
    assert_int_equal(mmio_in(0, 8), 0x44);
    assert_int_equal(mmio_in(0, 12), 0);
    assert_true(legacy_mmio_write(&guest, gpa(MMIO(0) + 8), 2, 0x55));
    assert_true(legacy_mmio_write(&guest, gpa(MMIO(0) + 9), 4, 0x55));
    assert_true(legacy_mmio_write(&guest, gpa(MMIO(0) + 4), 8, 0x55));
    assert_int_equal(mmio_in(0, 8), 0x44);
    assert_true(legacy_mmio_read(&guest, gpa(MMIO(0) + 2), 2, &value));
    assert_int_equal(value, 0xfee0);
    assert_true(legacy_mmio_read(&guest, gpa(MMIO(0) + 1), 2, &value));
    assert_int_equal(value, 0xffff);
}

static void messages_to_memory_are_dropped(void **state)
{
    use_msix();
    mmio_out(0, 0x10, 0x00100000);
    fake_complete(F, 0);
    mmio_out(0, 0x10, 0xfee00000);
    mmio_out(0, 0x14, 1);
    fake_complete(F, 0);
    assert_int_equal(fake.messages, 0);
    assert_int_equal(F->counters.messages_invalid, 2);
    mmio_out(0, 0x14, 0);
    fake.reject_messages = true;
    fake_complete(F, 0);
    assert_int_equal(F->counters.messages_unclaimed, 1);
}

/* The guest reads FFFFh back and makes do with fewer. */
static void vectors_that_are_not_there_are_refused(void **state)
{
    guest_msix(0, MSIX_ON);
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, FAKE_ENTRIES);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0xffff);
    VF.vector_limit = 2;
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 2);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    VF.vector_limit = FAKE_ENTRIES;
    VF.vmm_vectors = 2; /* entry 0 has one, and so has 2, although the VF refused it */
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 2);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 2);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 3);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    assert_false(F->state.lost);
}

static void reset_forgets_the_guests_vectors(void **state)
{
    use_msix();
    mmio_out(0, 16 + CTRL, 1);
    fake_complete(F, 0);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    assert_int_equal(in(IO(0) + LEGACY_CONFIG_VECTOR, 2), 0xffff);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
    assert_int_equal(mmio_in(0, PBA), 0);
    assert_false(VF.entry[1].masked);
    mmio_out(0, 16 + CTRL, 0);
    assert_int_equal(fake.messages, 0);
    use_msix();
    fake_complete(F, 0);
    assert_int_equal(guest_messages(0x41), 1);
}

/* A driver that gives MSI-X up with queues running misses nothing, nor does one that takes it. */
static void a_switch_loses_nothing(void **state)
{
    use_msix();
    fake_complete(F, 0);
    guest_msix(0, 0);
    assert_true(fake.line[0]);
    (void)in(ISR, 1);
    assert_int_equal(VF.queue[0].vector, 1);
    assert_int_equal(VF.queue[1].vector, 1);
    assert_int_equal(VF.config_vector, 0);
    fake_complete(F, 1);
    assert_true(fake.line[0]);
    unsigned before = fake.messages;

    guest_msix(0, MSIX_ON);
    assert_false(fake.line[0]);
    assert_int_equal(fake.messages, before + 3); /* all vectors in use, to be sure */
    assert_int_equal(VF.queue[0].vector, 1);
    assert_int_equal(VF.queue[1].vector, 2);
    fake_complete(F, 1);
    assert_int_equal(fake.messages, before + 4);
}

static void a_switch_without_queues_is_silent(void **state)
{
    guest_queue(0, 0, 0x10);
    fake_complete(F, 0);
    guest_queue(0, 0, 0);
    assert_true(fake.line[0]);
    guest_msix(0, MSIX_ON);
    assert_false(fake.line[0]);
    guest_msix(0, 0);
    assert_false(fake.line[0]);
    assert_int_equal(fake.messages, 0);
}

/* A ring that came and went under different modes leaves no vector of the VMM behind. */
static void a_switch_clears_the_vectors_of_old_rings(void **state)
{
    guest_msix(0, MSIX_ON);
    guest_queue(0, 0, 0x10);
    guest_msix(0, 0);
    assert_int_equal(VF.queue[0].vector, 1);
    guest_queue(0, 0, 0);
    guest_msix(0, MSIX_ON);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2), 0xffff);
}

static void the_switch_keeps_the_selected_queue(void **state)
{
    use_msix();
    out(IO(0) + LEGACY_QUEUE_SELECT, 2, 3);
    guest_msix(0, 0);
    assert_int_equal(VF.select, 3);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SELECT, 2), 3);
}

static void functions_do_not_mix(void **state)
{
    config_out(1, 4, 2, ON);
    guest_queue(1, 0, 0x10);
    use_msix();
    fake_complete(&guest_function[1], 0);
    assert_true(fake.line[1]);
    assert_false(fake.line[0]);
    assert_int_equal(in(IO(0) + LEGACY_ISR, 1), 0);
    assert_true(fake.line[1]);
    assert_int_equal(in(IO(1) + LEGACY_ISR, 1), 1);
    assert_int_equal(fake.messages, 0);
}

static void strange_interrupts_are_counted(void **state)
{
    legacy_interrupt(F, FAKE_ENTRIES);
    legacy_interrupt(F, 0xffffffff);
    assert_int_equal(F->counters.interrupts_late, 2);
    assert_false(fake.line[0]);
}

/* However many queues a guest makes up, a switch of MSI-X costs what exists. */
static void switches_touch_only_queues_that_exist(void **state)
{
    guest_msix(0, MSIX_ON);
    for (unsigned queue = 0; queue < LEGACY_QUEUES_MAX + 8; queue++) {
        out(IO(0) + LEGACY_QUEUE_SELECT, 2, queue);
        out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 1);
        assert_int_equal(in(IO(0) + LEGACY_QUEUE_VECTOR, 2),
                         queue < FAKE_QUEUES - 1 ? 1 : LEGACY_NO_VECTOR);
        out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x10);
    }
    fake_forget(0);
    guest_msix(0, 0);
    guest_msix(0, MSIX_ON);
    /* For each queue and the configuration: select, vector, and that back; each write is awaited.
     */
    assert_true(VF.accesses <= 2 * (FAKE_QUEUES + 1) * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(intx_has_vectors_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(vectors_are_there_before_the_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(one_vector_serves_for_both, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_gives_new_vectors_and_a_low_line, setup, teardown),
        cmocka_unit_test_setup_teardown(intx_can_be_disabled, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_go_index_for_index, setup, teardown),
        cmocka_unit_test_setup_teardown(a_masked_entry_keeps_its_message, setup, teardown),
        cmocka_unit_test_setup_teardown(the_function_mask_keeps_all, setup, teardown),
        cmocka_unit_test_setup_teardown(linux_enables_under_the_function_mask, setup, teardown),
        cmocka_unit_test_setup_teardown(table_reads_back, setup, teardown),
        cmocka_unit_test_setup_teardown(table_takes_words_and_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_to_memory_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(vectors_that_are_not_there_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_forgets_the_guests_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(a_switch_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_switch_without_queues_is_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_switch_clears_the_vectors_of_old_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(the_switch_keeps_the_selected_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(strange_interrupts_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(switches_touch_only_queues_that_exist, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
