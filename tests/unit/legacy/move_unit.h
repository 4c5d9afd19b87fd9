/* SPDX-License-Identifier: BSD-2-Clause */
/* A function goes from VF 0 to VF 1 while its guest uses it: what vmm/migrate does, without states
 * of devices. */
#ifndef PORTOLAN_TESTS_UNIT_LEGACY_MOVE_UNIT_H
#define PORTOLAN_TESTS_UNIT_LEGACY_MOVE_UNIT_H

#include "tests/unit/legacy/guest.h"

#include <string.h>

#define OLD    (&guest_function[0])
#define NEW    (&guest_function[1])
#define ISR    (IO(0) + LEGACY_ISR)
#define CTRL   12U
#define PBA    LEGACY_PBA_OFFSET
#define ON     0x0007U
#define QUEUES 2U

/* Guest vectors: entry 0 is for configuration, 1 and 2 are the queues'. */
#define VECTOR(entry) ((uint8_t)(0x40 + (entry)))

static struct legacy_set holder;
static struct legacy_state carried;
static uint64_t idle[LEGACY_QUEUE_WORDS]; /* queues in which the device has nothing to do */

/* A guest on VF 0; VF 1 stands ready in its slot. */
static inline int setup(void **unused)
{
    guest_start(1, 1);
    struct legacy_setup given = fake_setup(1, guest_transport);

    given.slot = OLD->setup.slot;
    legacy_init(&holder, "holder");
    assert_int_equal(legacy_add(&holder, NEW, &given), STATUS_OK);
    config_out(0, 4, 2, ON);
    memset(idle, 0, sizeof(idle));
    return 0;
}

static inline int setup_admin(void **unused)
{
    guest_transport = LEGACY_TRANSPORT_ADMIN;
    return setup(unused);
}

static inline int teardown(void **unused)
{
    guest_transport = LEGACY_TRANSPORT_MMR;
    assert_int_equal(fake.bad_locking, 0);
    assert_int_equal(fake.vf[0].bad + fake.vf[1].bad, 0);
    return 0;
}

static inline void use_intx(void)
{
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        guest_queue(0, queue, 0x100 + queue);
    }
}

static inline void use_msix(void)
{
    guest_msix(0, MSIX_ON);
    for (unsigned entry = 0; entry <= QUEUES; entry++) {
        guest_msix_entry(0, entry, VECTOR(entry));
    }
    out(IO(0) + LEGACY_CONFIG_VECTOR, 2, 0);
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        guest_queue(0, queue, 0x100 + queue);
        out(IO(0) + LEGACY_QUEUE_VECTOR, 2, queue + 1);
    }
}

/* Up to the exchange; the VM is paused by then. */
static inline enum status exchange(struct legacy_function *from, struct legacy_function *to)
{
    carried = *legacy_save(from);
    legacy_hand_over(from, to);
    assert_int_equal(legacy_load(to, &carried), STATUS_OK);
    return legacy_open_vectors(to, from);
}

/* What the protocol carries. */
static inline void carry_device(unsigned from, unsigned to)
{
    fake.vf[to].guest_features = fake.vf[from].guest_features;
    fake.vf[to].status = fake.vf[from].status;
    fake.vf[to].config_vector = fake.vf[from].config_vector;
    memcpy(fake.vf[to].queue, fake.vf[from].queue, sizeof(fake.vf[to].queue));
}

static inline void finish(struct legacy_function *from, struct legacy_function *to, bool news)
{
    legacy_rebind(to);
    legacy_take_messages(to, from);
    legacy_poke(to, news, idle);
    legacy_retire(from);
    legacy_resume(&guest);
}

static inline void move(bool news)
{
    legacy_pause(&guest);
    assert_int_equal(exchange(OLD, NEW), STATUS_OK);
    carry_device(0, 1);
    finish(OLD, NEW, news);
}

/* The old VF has no way to the VM any more, neither DMA nor interrupts. */
static inline void check_old(const struct fake_vf *vf)
{
    assert_false(vf->bus_master);
    for (unsigned entry = 0; entry < FAKE_ENTRIES; entry++) {
        assert_false(vf->entry[entry].open);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BY_COMMANDS(name)                                       \
    {                                                           \
#name " by commands", name, setup_admin, teardown, NULL \
    }

#endif
