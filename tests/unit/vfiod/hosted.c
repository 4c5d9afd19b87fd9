/* SPDX-License-Identifier: BSD-2-Clause */
/* A VF of this machine: what the device and the kernel may answer. */
#include "tests/unit/vfiod/client.h"
#include "tests/unit/vfiod/fake_vfio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME    "0000:01:00.1"
#define VECTORS 128U
#define NOTHING FAKE_VFIO_NOTHING

static int start(void **state)
{
    client_start();
    fake_vfio_start(3, 4);
    return 0;
}

static int end(void **state)
{
    client_end();
    return 0;
}

static void signal_event(int event)
{
    const uint64_t one = 1;

    assert_int_equal(write(event, &one, sizeof(one)), sizeof(one));
}

/* A device says how many queues it has: each gets its eventfd, up to what a function may have. */
static void every_queue_has_its_eventfd(void **state)
{
    static const uint32_t queues[] = {1, 2, 3, VFIO_USER_NOTIFY_MAX, FAKE_VFIO_QUEUES};

    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        fake_vfio_start(queues[i], 4);
        assert_true(vdev_open(NAME, true));
        const struct vfio_user_function *d = vdev_describe();
        uint32_t wanted = queues[i] < VFIO_USER_NOTIFY_MAX ? queues[i] : VFIO_USER_NOTIFY_MAX;

        assert_int_equal(d->notifies, wanted);
        client_enable(false);
        client_drive(false, 0, 1);
        for (uint32_t queue = 0; queue < d->notifies; queue++) {
            assert_int_equal(d->notify[queue].match, queue);
            signal_event(d->notify[queue].handle);
        }
        client_turn();
        for (uint32_t queue = 0; queue < d->notifies; queue++) {
            assert_int_equal(fake_vfio.notified[queue], 1);
        }
        vdev_close();
    }
}

/* More vectors than a function may show; and the last of those that it shows. */
static void vectors_without_end(void **state)
{
    struct pollfd fd[VDEV_FDS_MAX];
    int timeout;

    fake_vfio_start(FAKE_VFIO_QUEUES, 2048);
    assert_true(vdev_open(NAME, true));
    assert_int_equal(vdev_describe()->vectors, VECTORS);
    client_enable(true);
    assert_int_equal(fake_vfio.msix, VECTORS);
    client_drive(true, 0, 1);
    for (unsigned i = 0; i < VECTORS; i++) {
        vdev_vector_wanted(i, true);
    }
    assert_in_range(vdev_poll_fds(fd, VDEV_FDS_MAX, &timeout), VFIO_USER_NOTIFY_MAX + 1,
                    VDEV_FDS_MAX);
    assert_true(fake_vfio.event[1] >= 0);
    signal_event(fake_vfio.event[1]);
    client_turn();
    assert_int_equal(client.vector[1], 1);
    vdev_close();
}

/* Linux has no memory for the interrupts: the function is lost, and a reset asks again. */
static void a_refused_switch_is_asked_for_again(void **state)
{
    assert_true(vdev_open(NAME, true));
    assert_int_equal(fake_vfio.msix, 4);
    fake_vfio.refuses = 0;
    assert_int_equal(vdev_reset() == STATUS_OK, false);
    fake_vfio.refuses = NOTHING;
    assert_int_equal(vdev_reset(), STATUS_OK);
    assert_int_equal(fake_vfio.msix, 4);
    fake_vfio.refuses = 1;
    assert_int_equal(vdev_reset() == STATUS_OK, false);
    assert_int_equal(fake_vfio.msix, 0);
    fake_vfio.refuses = NOTHING;
    assert_int_equal(vdev_reset(), STATUS_OK);
    assert_int_equal(fake_vfio.msix, 4);
    vdev_close();
}

/* What VFIO does not do for it is not offered. */
static void neither_migrates_nor_logs(void **state)
{
    assert_true(vdev_open(NAME, true));
    assert_false(vdev_describe()->migrates);
    assert_false(vdev_describe()->logs);
    assert_false(vdev_describe()->split);
    vdev_close();
}

/* A VF goes on with DMA until it is reset. */
static void a_client_that_leaves(void **state)
{
    assert_true(vdev_open(NAME, true));
    client_enable(true);
    client_drive(true, 0, 2);
    assert_int_equal(fake_vfio.command & 4, 4);
    assert_int_not_equal(fake_vfio.pfn[1], 0);
    unsigned before = fake_vfio.resets;

    vdev_client_left();
    assert_int_equal(fake_vfio.resets, before + 1);
    assert_int_equal(fake_vfio.command & 4, 0);
    assert_int_equal(fake_vfio.pfn[1], 0);
    vdev_close();
}

static void what_is_no_legacy_device(void **state)
{
    static const char *const names[] = {
        "",         "0:1:0.1",     "0000:01:00.8",     "0000:01:00.1 ",       "0000:1g:00.1",
        "10000:01", "0000:01:0.1", "0000:01:00.1/../", "00000000:01:00.1.0.0"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        client.said = 0;
        assert_false(vdev_open(names[i], true));
        assert_int_equal(client.said, 1);
    }
    fake_vfio.vendor = 0x8086;
    assert_false(vdev_open(NAME, true));
    assert_non_null(strstr(client.words, "no virtio device"));
    fake_vfio_start(3, 4);
    fake_vfio.memory = true;
    assert_false(vdev_open(NAME, true));
    assert_non_null(strstr(client.words, "no legacy registers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_queue_has_its_eventfd, start, end),
        cmocka_unit_test_setup_teardown(vectors_without_end, start, end),
        cmocka_unit_test_setup_teardown(a_refused_switch_is_asked_for_again, start, end),
        cmocka_unit_test_setup_teardown(neither_migrates_nor_logs, start, end),
        cmocka_unit_test_setup_teardown(a_client_that_leaves, start, end),
        cmocka_unit_test_setup_teardown(what_is_no_legacy_device, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
