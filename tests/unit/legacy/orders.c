/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No interrupt is lost, whatever comes in whatever order: every sequence of messages and guest
 * accesses up to a length, against a model, and two threads that really run at once.
 *
 * What a message and an ISR read do happens under one lock, so orders of whole steps are all the
 * orders there are; the threads test that the lock is where it has to be.
 */
#include "tests/unit/legacy/guest.h"

#include <pthread.h>
#include <sched.h>

#define F       (&guest_function[0])
#define LENGTH  7
#define ON      0x0007U
#define DIS     0x0407U
#define BUFFERS 20000U

static int setup(void **state)
{
    guest_start(1, 1);
    config_out(0, 4, 2, ON);
    return 0;
}

static int teardown(void **state)
{
    guest_check();
    return 0;
}

enum intx_step { COMPLETE, CHANGE, READ_ISR, DISABLE, ENABLE, INTX_STEPS };

struct intx_model {
    uint32_t unseen; /* what the driver has not been told of */
    bool disabled;
};

static void step_intx(enum intx_step step, struct intx_model *model)
{
    switch ((unsigned)step) {
    case COMPLETE:
        fake_complete(F, 0);
        model->unseen |= LEGACY_ISR_QUEUE;
        break;
    case CHANGE:
        fake_config_change(F);
        model->unseen |= LEGACY_ISR_CONFIG;
        break;
    case READ_ISR:
        assert_int_equal(in(IO(0) + LEGACY_ISR, 1), model->unseen);
        model->unseen = 0;
        break;
    default:
        model->disabled = step == DISABLE;
        config_out(0, 4, 2, model->disabled ? DIS : ON);
        break;
    }
    assert_int_equal(fake.line[0], model->unseen != 0 && !model->disabled);
    assert_int_equal(config_in(0, 6, 2) >> 3 & 1, model->unseen != 0);
}

static void intx_in_every_order(void **state)
{
    unsigned orders = 1;

    for (unsigned i = 0; i < LENGTH; i++) {
        orders *= INTX_STEPS;
    }
    guest_queue(0, 0, 0x10);
    for (unsigned order = 0; order < orders; order++) {
        struct intx_model model = {0};
        unsigned rest = order;

        (void)in(IO(0) + LEGACY_ISR, 1);
        config_out(0, 4, 2, ON);
        for (unsigned i = 0; i < LENGTH; i++, rest /= INTX_STEPS) {
            step_intx(rest % INTX_STEPS, &model);
        }
    }
}

enum msix_step { MESSAGE, MASK, UNMASK, MASK_ALL, UNMASK_ALL, VF_SENDS, MSIX_STEPS };

struct msix_model {
    bool unseen; /* work that no message told of */
    bool masked;
    bool all_masked;
};

static void step_msix(enum msix_step step, struct msix_model *model)
{
    unsigned before = fake.messages;

    switch ((unsigned)step) {
    case MESSAGE:
        fake_complete(F, 0);
        model->unseen = true;
        break;
    case MASK:
    case UNMASK:
        model->masked = step == MASK;
        mmio_out(0, 12, model->masked);
        break;
    case MASK_ALL:
    case UNMASK_ALL:
        model->all_masked = step == MASK_ALL;
        guest_msix(0, model->all_masked ? MSIX_ON | MSIX_MASK : MSIX_ON);
        break;
    default:
        (void)fake_run(F);
        break;
    }
    if (model->masked || model->all_masked) {
        assert_int_equal(fake.messages, before);
        /* It is in the guest's PBA, or the VF still has it in its own. */
        assert_int_equal(mmio_in(0, LEGACY_PBA_OFFSET) != 0 || fake.vf[0].entry[0].pending,
                         model->unseen);
        return;
    }
    /* The guest has been told, or the VF is about to, which nothing holds back. */
    bool pending = fake.vf[0].entry[0].pending;

    assert_true(!model->unseen || fake.messages != before || pending);
    assert_false(pending && fake.vf[0].entry[0].masked);
    model->unseen = pending;
    assert_int_equal(mmio_in(0, LEGACY_PBA_OFFSET), 0);
}

static void msix_in_every_order(void **state)
{
    unsigned orders = 1;

    for (unsigned i = 0; i < LENGTH; i++) {
        orders *= MSIX_STEPS;
    }
    guest_msix(0, MSIX_ON);
    guest_msix_entry(0, 0, 0x40);
    guest_queue(0, 0, 0x10);
    out(IO(0) + LEGACY_QUEUE_VECTOR, 2, 0);
    for (unsigned order = 0; order < orders; order++) {
        struct msix_model model = {0};
        unsigned rest = order;

        mmio_out(0, 12, 0);
        guest_msix(0, MSIX_ON);
        (void)fake_run(F);
        for (unsigned i = 0; i < LENGTH; i++, rest /= MSIX_STEPS) {
            step_msix(rest % MSIX_STEPS, &model);
        }
    }
}

static uint32_t used;
static bool finished;

/* The device: puts a buffer into the used ring, then tells. */
static void *device(void *argument)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        __atomic_add_fetch(&used, 1, __ATOMIC_SEQ_CST);
        legacy_interrupt(F, 1);
    }
    __atomic_store_n(&finished, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* The guest: looks at its ring only when its line is up and the ISR says so. */
static void two_threads_lose_nothing(void **state)
{
    uint32_t seen = 0;
    pthread_t thread;

    guest_queue(0, 0, 0x10);
    used = 0;
    finished = false;
    assert_int_equal(pthread_create(&thread, NULL, device, NULL), 0);
    while (seen != BUFFERS) {
        bool last = __atomic_load_n(&finished, __ATOMIC_SEQ_CST);

        if (__atomic_load_n(&fake.line[0], __ATOMIC_SEQ_CST)) {
            if ((in(IO(0) + LEGACY_ISR, 1) & LEGACY_ISR_QUEUE) != 0) {
                seen = __atomic_load_n(&used, __ATOMIC_SEQ_CST);
            }
            continue;
        }
        assert_false(last); /* the device is done, the line is low: what was not seen is lost */
        (void)sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)in(IO(0) + LEGACY_ISR, 1);
    assert_false(fake.line[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(intx_in_every_order, setup, teardown),
        cmocka_unit_test_setup_teardown(msix_in_every_order, setup, teardown),
        cmocka_unit_test_setup_teardown(two_threads_lose_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
