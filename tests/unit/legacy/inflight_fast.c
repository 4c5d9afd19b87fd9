/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A net VF that receives: a pair of queues, whose driver notifies of what it sends only. How fast
 * may it receive, and be moved when it dies?
 */
#include "drivers/virtio/device.h"
#include "tests/unit/emulate/random.h"
#include "tests/unit/legacy/guest.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/inflight.h"
#include "vmm/legacy/legacy_internal.h"

#include <string.h>

#define PAIRS  4U
#define QUEUES (2 * PAIRS)
#define SIZE   256U
#define STEP   6U /* pages, from one ring to the next */
#define HALF   (SIZE / 2)
#define TURNS  400U

static struct legacy_function f;
static struct legacy_set set;
static struct legacy_inflight inflight;
static struct ram ram;
static const struct legacy_type net = {.type = VIRTIO_TYPE_NET}, disk = {.type = VIRTIO_TYPE_BLOCK};
static uint16_t has[QUEUES][SIZE]; /* heads that the device has, in an order of its own */

static uint16_t *avail(unsigned queue)
{
    return (uint16_t *)(void *)&fake_ram[(1 + queue * STEP) * 4096U + 16U * SIZE];
}

static uint16_t *used(unsigned queue)
{
    return (uint16_t *)(void *)&fake_ram[(1 + queue * STEP + 2) * 4096U];
}

static void offer(unsigned queue, uint16_t head)
{
    avail(queue)[2 + avail(queue)[1] % SIZE] = head;
    avail(queue)[1]++;
}

static void complete(unsigned queue, uint16_t head)
{
    uint32_t entry[2] = {head, 64};

    memcpy(&used(queue)[2 + 4 * (used(queue)[1] % SIZE)], entry, sizeof(entry));
    used(queue)[1]++;
}

static int setup(void **state)
{
    memset(&f, 0, sizeof(f));
    memset(fake_ram, 0, sizeof(fake_ram));
    f.set = &set;
    f.type = &net;
    f.setup.ram = &ram;
    f.setup.inflight = &inflight;
    legacy_inflight_forget(&f);
    for (unsigned queue = 0; queue < QUEUES; queue++) {
        f.state.queue[queue] = (struct legacy_queue){.pfn = 1 + queue * STEP, .size = SIZE};
        legacy_inflight_restart(&f, queue);
    }
    return 0;
}

/* COUNT frames come by QUEUE, and its driver gives the buffers back to it, in an order of the
 * device's own, and tells nobody. */
static void receive(unsigned queue, unsigned count, struct random *random)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned at = random_below(random, SIZE);

        complete(queue, has[queue][at]);
        offer(queue, has[queue][at]);
    }
}

static void fill(unsigned queue)
{
    for (uint16_t head = 0; head < SIZE; head++) {
        has[queue][head] = head;
        offer(queue, head);
    }
}

static enum status end(void)
{
    unsigned queue;

    return legacy_offer_again(&f, &queue);
}

/* By TCP: something is sent for each hundred frames, and so it is looked at, however fast they
 * come. */
static void test_acknowledged(void **state)
{
    struct random random = {1};

    fill(2);
    legacy_inflight_look(&f, 3);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        receive(2, 100, &random);
        legacy_inflight_look(&f, 3);
        if (turn % 40 == 39) {
            assert_int_equal(end(), STATUS_OK);
        }
    }
}

/* A disk's queues are no pairs: each is looked at when it is notified, and no other one then. */
static void test_no_pair(void **state)
{
    f.type = &disk;
    fill(2);
    legacy_inflight_look(&f, 3);
    assert_int_equal(inflight.queue[2].avail, 0);
    legacy_inflight_look(&f, 2);
    assert_int_equal(inflight.queue[2].avail, SIZE);
}

/* By all queues at once, half a ring of each from one millisecond to the next. */
static void test_polled(void **state)
{
    struct random random = {2};

    for (unsigned queue = 0; queue < QUEUES; queue += 2) {
        fill(queue);
    }
    legacy_inflight_poll(&f);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned queue = 0; queue < QUEUES; queue += 2) {
            receive(queue, HALF, &random);
        }
        legacy_inflight_poll(&f);
    }
    assert_int_equal(end(), STATUS_OK);
}

/* Faster, and without an answer: it is not known. It is again when each buffer has come by more
 * slowly. */
static void test_too_fast(void **state)
{
    struct random random = {3};

    fill(0);
    legacy_inflight_poll(&f);
    receive(0, HALF + 1, &random);
    legacy_inflight_poll(&f);
    assert_int_equal(end(), STATUS_CONFLICT);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        receive(0, HALF, &random);
        legacy_inflight_poll(&f);
    }
    assert_int_equal(end(), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_acknowledged, setup),
        cmocka_unit_test_setup(test_no_pair, setup),
        cmocka_unit_test_setup(test_polled, setup),
        cmocka_unit_test_setup(test_too_fast, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
