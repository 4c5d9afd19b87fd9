/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: handles come and go, INTA masks itself, vectors are signals, 2021 has messages. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NONE    1U
#define BOOL    2U
#define EVENTFD 4U
#define MASK    8U
#define UNMASK  16U
#define TRIGGER 32U

static int begin(void **state)
{
    fake_start(VFIO_USER_AUTO, 8192);
    fake_version(VFIO_USER_TODAY);
    return 0;
}

static int end(void **state)
{
    fake_stop();
    return 0;
}

static int set(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const char *which,
               const int *handle, uint32_t handles)
{
    uint8_t bytes[20 + 64];
    uint32_t size = 20 + (which != NULL ? count : 0);

    fake_put32(bytes, 5, size, flags, index, start, count);
    if (which != NULL) {
        memcpy(bytes + 20, which, count);
    }
    return fake_command(COMMAND_SET_IRQS, bytes, size, handle, handles);
}

static void tells_of_interrupts(void **state)
{
    static const uint32_t flags[5] = {7, 0, 1, 0, 0}, counts[5] = {1, 0, FAKE_VECTORS, 0, 0};
    uint8_t bytes[16] = {16};

    for (uint32_t i = 0; i < 5; i++) {
        fake_put32(bytes + 8, 1, i);
        assert_int_equal(fake_command(COMMAND_GET_IRQ_INFO, bytes, 16, NULL, 0), 0);
        assert_int_equal(fake.reply_size, 16);
        assert_int_equal(bytes_get32(fake.reply), 16);
        assert_int_equal(bytes_get32(fake.reply + 4), flags[i]);
        assert_int_equal(bytes_get32(fake.reply + 8), i);
        assert_int_equal(bytes_get32(fake.reply + 12), counts[i]);
    }
    fake_put32(bytes + 8, 1, 5);
    assert_int_equal(fake_command(COMMAND_GET_IRQ_INFO, bytes, 16, NULL, 0), 22);
}

static void intx_masks_itself(void **state)
{
    int handle = fake_handle(), other;

    vfio_user_set_intx(&fake.device, true); /* nobody listens yet */
    assert_int_equal(set(EVENTFD | TRIGGER, 0, 0, 1, NULL, &handle, 1), 0);
    assert_int_equal(fake.signals[handle], 1); /* it was there already */
    vfio_user_set_intx(&fake.device, true);
    vfio_user_set_intx(&fake.device, false);
    vfio_user_set_intx(&fake.device, true);
    assert_int_equal(fake.signals[handle], 1);
    assert_int_equal(set(NONE | UNMASK, 0, 0, 1, NULL, NULL, 0), 0);
    assert_int_equal(fake.signals[handle], 2); /* it is still there */
    vfio_user_set_intx(&fake.device, false);
    assert_int_equal(set(NONE | UNMASK, 0, 0, 1, NULL, NULL, 0), 0);
    assert_int_equal(fake.signals[handle], 2);
    vfio_user_set_intx(&fake.device, true);
    assert_int_equal(fake.signals[handle], 3);
    /* Masked by the client. */
    vfio_user_set_intx(&fake.device, false);
    assert_int_equal(set(NONE | UNMASK, 0, 0, 1, NULL, NULL, 0), 0);
    assert_int_equal(set(BOOL | MASK, 0, 0, 1, "\1", NULL, 0), 0);
    vfio_user_set_intx(&fake.device, true);
    assert_int_equal(fake.signals[handle], 3);
    assert_int_equal(set(BOOL | UNMASK, 0, 0, 1, "\0", NULL, 0), 0); /* not this one */
    assert_int_equal(fake.signals[handle], 3);
    assert_int_equal(set(BOOL | UNMASK, 0, 0, 1, "\1", NULL, 0), 0);
    assert_int_equal(fake.signals[handle], 4);
    /* A handle that unmasks it; both go when nobody listens any more. */
    other = fake_handle();
    assert_int_equal(set(EVENTFD | UNMASK, 0, 0, 1, NULL, &other, 1), 0);
    assert_int_equal(fake.device.intx.unmask, other);
    vfio_user_unmask_intx(&fake.device);
    assert_int_equal(fake.signals[handle], 5);
    assert_int_equal(set(NONE | TRIGGER, 0, 0, 0, NULL, NULL, 0), 0);
    assert_int_equal(fake.handle[handle], HANDLE_CLOSED);
    assert_int_equal(fake.handle[other], HANDLE_CLOSED);
    /* A new one is signalled at once: the level did not go away. */
    handle = fake_handle();
    assert_int_equal(set(EVENTFD | TRIGGER, 0, 0, 1, NULL, &handle, 1), 0);
    assert_int_equal(fake.signals[handle], 1);
}

static void vectors_are_signals(void **state)
{
    int handle[3] = {fake_handle(), fake_handle(), fake_handle()};

    vfio_user_send_vector(&fake.device, 1);
    assert_int_equal(set(EVENTFD | TRIGGER, 2, 1, 2, NULL, handle, 2), 0);
    assert_true(!fake.wanted[0] && fake.wanted[1] && fake.wanted[2] && !fake.wanted[3]);
    vfio_user_send_vector(&fake.device, 1);
    vfio_user_send_vector(&fake.device, 1);
    vfio_user_send_vector(&fake.device, 2);
    vfio_user_send_vector(&fake.device, 3);
    vfio_user_send_vector(&fake.device, FAKE_VECTORS);
    vfio_user_send_vector(&fake.device, UINT32_MAX);
    assert_int_equal(fake.signals[handle[0]], 2);
    assert_int_equal(fake.signals[handle[1]], 1);
    /* The client's own triggers. */
    assert_int_equal(set(BOOL | TRIGGER, 2, 0, 3, "\0\0\1", NULL, 0), 0);
    assert_int_equal(fake.signals[handle[0]], 2);
    assert_int_equal(fake.signals[handle[1]], 2);
    assert_int_equal(set(NONE | TRIGGER, 2, 0, FAKE_VECTORS, NULL, NULL, 0), 0);
    assert_int_equal(fake.signals[handle[0]], 3);
    /* Another for the same. */
    assert_int_equal(set(EVENTFD | TRIGGER, 2, 1, 1, NULL, &handle[2], 1), 0);
    assert_int_equal(fake.handle[handle[0]], HANDLE_CLOSED);
    vfio_user_send_vector(&fake.device, 1);
    assert_int_equal(fake.signals[handle[2]], 1);
    /* None for a part, then for all. */
    assert_int_equal(set(EVENTFD | TRIGGER, 2, 2, 1, NULL, NULL, 0), 0);
    assert_true(fake.wanted[1] && !fake.wanted[2]);
    assert_int_equal(fake.handle[handle[1]], HANDLE_CLOSED);
    assert_int_equal(set(NONE | TRIGGER, 2, 0, 0, NULL, NULL, 0), 0);
    assert_false(fake.wanted[1]);
    assert_int_equal(fake.handle[handle[2]], HANDLE_CLOSED);
}

static void refuses_what_makes_no_sense(void **state)
{
    static const struct {
        uint32_t flags, index, start, count, handles;
        const char *which;
    } cases[] = {
        {0,                        2, 0,            1,            0, NULL},
        {NONE,                     2, 0,            1,            0, NULL},
        {TRIGGER,                  2, 0,            1,            0, NULL},
        {NONE | BOOL | TRIGGER,    2, 0,            1,            0, "\1"},
        {NONE | MASK | TRIGGER,    0, 0,            1,            0, NULL},
        {NONE | TRIGGER | 64,      2, 0,            1,            0, NULL},
        {NONE | TRIGGER,           5, 0,            1,            0, NULL},
        {NONE | TRIGGER,           1, 0,            1,            0, NULL},
        {NONE | TRIGGER,           2, 1,            FAKE_VECTORS, 0, NULL},
        {NONE | TRIGGER,           2, FAKE_VECTORS, 1,            0, NULL},
        {NONE | TRIGGER,           2, UINT32_MAX,   1,            0, NULL},
        {NONE | TRIGGER,           2, 1,            UINT32_MAX,   0, NULL},
        {NONE | TRIGGER,           2, 1,            0,            0, NULL},
        {EVENTFD | TRIGGER,        2, 0,            0,            0, NULL},
        {NONE | MASK,              0, 0,            0,            0, NULL},
        {NONE | MASK,              2, 0,            1,            0, NULL},
        {EVENTFD | MASK,           0, 0,            1,            1, NULL},
        {EVENTFD | UNMASK,         2, 0,            1,            1, NULL},
        {EVENTFD | TRIGGER,        2, 0,            2,            1, NULL},
        {EVENTFD | TRIGGER,        2, 0,            1,            2, NULL},
        {NONE | TRIGGER,           2, 0,            1,            1, NULL},
        {BOOL | TRIGGER,           2, 0,            1,            0, NULL},
        {BOOL | TRIGGER | EVENTFD, 2, 0,            1,            1, "\1"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        int handle[2] = {fake_handle(), fake_handle()};

        if (set(cases[i].flags, cases[i].index, cases[i].start, cases[i].count, cases[i].which,
                handle, cases[i].handles) != 22) {
            fail_msg("case %u", i);
        }
        for (uint32_t k = cases[i].handles; k < 2; k++) {
            fake.handle[handle[k]] = HANDLE_CLOSED; /* it was not sent */
        }
    }
    assert_int_equal(
        fake_command(COMMAND_SET_IRQS, "\x13\0\0\0\x21\0\0\0\2\0\0\0\0\0\0\0\1\0\0", 20, NULL, 0),
        22); /* argsz */
}

static void handles_go_with_their_client(void **state)
{
    int handle[VFIO_USER_HANDLES_MAX];

    for (unsigned i = 0; i < VFIO_USER_HANDLES_MAX; i++) {
        handle[i] = fake_handle();
    }
    assert_int_equal(
        set(EVENTFD | TRIGGER, 2, 3, VFIO_USER_HANDLES_MAX, NULL, handle, VFIO_USER_HANDLES_MAX),
        0);
    vfio_user_disconnected(&fake.device.server);
    vfio_user_send_vector(&fake.device, 3);
    assert_int_equal(fake.signals[handle[0]], 0);
    /* Another one comes. */
    fake_version(VFIO_USER_TODAY);
}

static void are_messages_in_2021(void **state)
{
    int handle;

    fake_stop();
    fake_start(VFIO_USER_AUTO, 8192);
    fake_version(VFIO_USER_2021);
    assert_true(fake.wanted[0] && fake.wanted[FAKE_VECTORS - 1]);
    fake.sent_size = 0;
    vfio_user_send_vector(&fake.device, 7);
    vfio_user_set_intx(&fake.device, true);
    vfio_user_set_intx(&fake.device, true);
    assert_int_equal(fake.sent_size, 2 * 20);
    assert_int_equal(bytes_get(fake.sent + 2, 2), COMMAND_2021_VM_INTERRUPT);
    assert_int_equal(bytes_get32(fake.sent + 4), 20);
    assert_int_equal(bytes_get32(fake.sent + 8), 0);
    assert_int_equal(bytes_get32(fake.sent + 16), 7);
    assert_int_equal(bytes_get32(fake.sent + 20 + 16), 0);
    assert_int_not_equal(bytes_get(fake.sent, 2), bytes_get(fake.sent + 20, 2));
    /* With a handle there is none. */
    handle = fake_handle();
    assert_int_equal(set(EVENTFD | TRIGGER, 2, 7, 1, NULL, &handle, 1), 0);
    fake.sent_size = 0;
    vfio_user_send_vector(&fake.device, 7);
    assert_int_equal(fake.sent_size, 0);
    assert_int_equal(fake.signals[handle], 1);
    /* The client answers, which is passed over. */
    uint8_t answer[HEADER] = {0};

    bytes_put(answer + 2, 2, COMMAND_2021_VM_INTERRUPT);
    bytes_put32(answer + 4, HEADER);
    bytes_put32(answer + 8, FLAG_ANSWER);
    (void)fake_feed(answer, HEADER, NULL, 0, HEADER);
    assert_int_equal(fake.sent_size, 0);
    assert_false(fake.device.server.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_of_interrupts, begin, end),
        cmocka_unit_test_setup_teardown(intx_masks_itself, begin, end),
        cmocka_unit_test_setup_teardown(vectors_are_signals, begin, end),
        cmocka_unit_test_setup_teardown(refuses_what_makes_no_sense, begin, end),
        cmocka_unit_test_setup_teardown(handles_go_with_their_client, begin, end),
        cmocka_unit_test_setup_teardown(are_messages_in_2021, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
