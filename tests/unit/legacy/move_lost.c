/* SPDX-License-Identifier: BSD-2-Clause */
/* VF 0 of a guest dies, and VF 1 takes its place. */
#include "tests/unit/legacy/move_unit.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/inflight.h"

static struct legacy_inflight inflight;
static const struct ram ram;

/* The VM's VF answers nothing any more, which the guest's next access finds out. */
static void die(void)
{
    OLD->standby = true;
    fake.vf[0].dead = true;
    (void)in(IO(0) + LEGACY_STATUS, 1);
    assert_true(legacy_is_lost(OLD));
    assert_true(legacy_port_waits(&guest, IO(0)));
    assert_false(legacy_port_waits(&guest, 0x20));
}

static void take_place(void)
{
    legacy_pause(&guest);
    carried = *legacy_save(OLD);
    carried.lost = 0;
    carried.bus_master = OLD->lost_master;
    legacy_hand_over(OLD, NEW);
    assert_int_equal(legacy_load(NEW, &carried), STATUS_OK);
    legacy_replay(NEW);
    finish(OLD, NEW, true);
    assert_false(legacy_port_waits(&guest, IO(0)));
}

/* Nothing comes from the old VF: the new one has what the guest wrote. */
static void check_replayed(void)
{
    assert_int_equal(fake.vf[1].guest_features, fake.vf[0].guest_features);
    assert_int_equal(fake.vf[1].status, 7);
    assert_true(fake.vf[1].bus_master);
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        assert_int_equal(fake.vf[1].queue[queue].pfn, 0x100 + queue);
    }
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 7);
    assert_int_equal(in(IO(0) + LEGACY_QUEUE_SELECT, 2), QUEUES - 1);
}

static void drive(void)
{
    out(IO(0) + LEGACY_STATUS, 1, 3);
    out(IO(0) + LEGACY_GUEST_FEATURES, 4, 1);
}

static void lost_one_is_replayed(void **unused)
{
    drive();
    use_intx();
    out(IO(0) + LEGACY_STATUS, 1, 7);
    die();
    take_place();
    check_replayed();
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG);
    (void)in(ISR, 1);
    fake_complete(NEW, 1);
    assert_int_equal(in(ISR, 1), LEGACY_ISR_QUEUE);
}

/* What the guest does to its MSI-X table and configuration space meanwhile counts. */
static void lost_one_keeps_its_messages(void **unused)
{
    drive();
    use_msix();
    out(IO(0) + LEGACY_STATUS, 1, 7);
    die();
    assert_int_not_equal(config_in(0, 0, 4), UINT32_MAX);
    guest_msix_entry(0, 2, VECTOR(5));
    assert_int_equal(fake.messages, 0);
    take_place();
    check_replayed();
    assert_int_equal(guest_messages(VECTOR(0)), 1);
    assert_int_equal(guest_messages(VECTOR(1)), 1);
    assert_int_equal(guest_messages(VECTOR(5)), 1);
    fake_complete(NEW, 1);
    assert_int_equal(guest_messages(VECTOR(5)), 2);
}

/* FUNCTION is given to the VM anew, its requests are followed, and it has a queue without one. */
static void follow(struct legacy_function *function)
{
    struct legacy_setup given = fake_setup(0, guest_transport);

    legacy_release(&guest);
    given.inflight = &inflight;
    given.ram = &ram;
    assert_int_equal(legacy_add(&guest, function, &given), STATUS_OK);
    config_out(0, 4, 2, ON);
    drive();
    memset(fake_ram, 0, sizeof(fake_ram));
    guest_queue(0, 0, 0x10);
}

/* Its requests are seen before the device can have them, and a reset of the device forgets them. */
static void requests_are_followed(void **unused)
{
    uint16_t *avail = (uint16_t *)(void *)&fake_ram[0x10 * 4096 + 16 * 256];
    unsigned queue;

    follow(OLD);
    avail[2] = 7;
    avail[1] = 1;
    assert_false(legacy_notify(&guest, IO(0) + LEGACY_QUEUE_NOTIFY, 0));
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    assert_int_equal(inflight.queue[0].known, 1);
    assert_int_equal(legacy_offer_again(OLD, &queue), STATUS_OK);
    avail[2] = 9; /* nobody has seen that */
    assert_int_equal(legacy_offer_again(OLD, &queue), STATUS_OK);
    assert_int_equal(avail[2], 7);
    out(IO(0) + LEGACY_STATUS, 1, 0);
    assert_int_equal(inflight.queue[0].pfn, 0);
    guest_queue(0, 0, 0x10); /* with requests in it that were never seen */
    assert_int_equal(legacy_offer_again(OLD, &queue), STATUS_CONFLICT);
    assert_int_equal(queue, 0);
}

/* What a VF had when its VM was moved from it is known of the one after it: none of it need ever be
 * done, as with a ring of buffers for frames that nobody sends. */
static void requests_are_followed_through_a_move(void **unused)
{
    uint16_t *avail = (uint16_t *)(void *)&fake_ram[0x10 * 4096 + 16 * 256];
    unsigned queue;

    follow(OLD);
    avail[2] = 7;
    avail[1] = 1;
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    legacy_release(&holder);
    struct legacy_setup given = fake_setup(1, guest_transport);

    given.slot = OLD->setup.slot;
    given.inflight = &inflight;
    given.ram = &ram;
    legacy_init(&holder, "holder");
    holder.hidden = true;
    assert_int_equal(legacy_add(&holder, NEW, &given), STATUS_OK);
    move(false);
    avail[3] = 9;
    avail[1] = 2;
    out(IO(0) + LEGACY_QUEUE_NOTIFY, 2, 0);
    assert_int_equal(inflight.queue[0].known, 2);
    avail[2] = avail[3] = 11; /* nobody has seen that */
    assert_int_equal(legacy_offer_again(NEW, &queue), STATUS_OK);
    assert_int_equal(avail[2], 7);
    assert_int_equal(avail[3], 9);
}

/* A size that only a dead VF could have is not kept: the queue would fit no other VF. */
static void lost_one_has_no_queue_sizes(void **unused)
{
    OLD->standby = true;
    fake.vf[0].dead = true;
    out(IO(0) + LEGACY_QUEUE_PFN, 4, 0x100);
    assert_true(legacy_is_lost(OLD));
    assert_int_equal(OLD->state.queue[0].size, 0);
    assert_int_equal(OLD->state.queue[0].pfn, 0);
}

static void forsaken_one_is_gone(void **unused)
{
    die();
    legacy_forsake(OLD);
    assert_false(legacy_port_waits(&guest, IO(0)));
    assert_int_equal(in(IO(0) + LEGACY_STATUS, 1), 0xff);
    assert_int_equal(config_in(0, 0, 4), UINT32_MAX);
}

/* What others see of a function whose state is taken apart and put together again. */
static void nobody_gives_up_what_is_rebuilt(void **state)
{
    use_intx();
    legacy_pause(&guest);
    legacy_rebuild(OLD, true);
    carried = *legacy_save(OLD);
    assert_false(legacy_try_give_up(OLD, "fails"));
    legacy_fill(OLD, 0xa5);
    assert_int_equal(OLD->state.queue[0].pfn, 0xa5a5a5a5);
    assert_int_equal(OLD->state.arrived[LEGACY_VECTOR_WORDS - 1], 0xa5a5a5a5a5a5a5a5);
    assert_false(legacy_is_lost(OLD));
    assert_int_equal(legacy_load(OLD, &carried), STATUS_OK);
    assert_memory_equal(&OLD->state, &carried, sizeof(carried));
    assert_false(legacy_try_give_up(OLD, "fails")); /* it is compared */
    legacy_rebuild(OLD, false);
    assert_true(legacy_try_give_up(OLD, "fails"));
    assert_true(legacy_is_lost(OLD));
    legacy_rebuild(OLD, true);
    legacy_fill(OLD, 0);
    assert_true(legacy_is_lost(OLD));
    legacy_rebuild(OLD, false);
    legacy_resume(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lost_one_is_replayed),
        BY_COMMANDS(lost_one_is_replayed),
        TEST(lost_one_keeps_its_messages),
        BY_COMMANDS(lost_one_keeps_its_messages),
        TEST(requests_are_followed),
        BY_COMMANDS(requests_are_followed),
        TEST(requests_are_followed_through_a_move),
        BY_COMMANDS(requests_are_followed_through_a_move),
        TEST(lost_one_has_no_queue_sizes),
        TEST(forsaken_one_is_gone),
        TEST(nobody_gives_up_what_is_rebuilt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
