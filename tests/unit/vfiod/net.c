/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated network of portolan-vfiod: frames both ways, a driver or another end that is slow,
 * hostile or gone. */
#include "tests/unit/vfiod/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFERS  0x40000U /* of the receive queue, BUFFER bytes each */
#define BUFFER   2048U
#define OUT      0x80000U
#define HEADER   10U
#define RECEIVE  0U
#define TRANSMIT 1U

static int other; /* our end */

static int start(void **state)
{
    char options[64];
    int pair[2];

    client_start();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    other = pair[0];
    assert_int_equal(fcntl(other, F_SETFL, O_NONBLOCK), 0);
    (void)snprintf(options, sizeof(options), "net,fd=%d,mac=52:54:00:aa:bb:cc", pair[1]);
    assert_true(vdev_open(options, false));
    client_enable(true);
    client_drive(true, 0, 2);
    return 0;
}

static int start_far(void **state)
{
    (void)start(state);
    client.far = true;
    return 0;
}

static int end(void **state)
{
    vdev_close();
    close(other);
    client_end();
    return 0;
}

static void post(uint16_t index)
{
    client_set_desc(RECEIVE, index,
                    (struct client_desc){BUFFERS + BUFFER * index, BUFFER, DESC_WRITE, 0});
    client_offer(RECEIVE, index);
}

static void frame_in(const void *frame, uint32_t length)
{
    uint32_t prefix = htonl(length);

    assert_int_equal(write(other, &prefix, 4), 4);
    assert_int_equal(write(other, frame, length), (ssize_t)length);
}

static void frame_out(uint32_t length, uint8_t fill)
{
    memset(client_memory(OUT), 0, HEADER);
    memset(client_memory(OUT + HEADER), fill, length);
    client_set_desc(TRANSMIT, 0, (struct client_desc){OUT, HEADER + length, 0, 0});
    client_offer(TRANSMIT, 0);
}

static void sends(void **state)
{
    uint8_t got[2048];
    uint32_t head, length;

    frame_out(60, 0x11);
    client_notify(TRANSMIT);
    assert_true(client_used(TRANSMIT, &head, &length));
    assert_int_equal(length, 0);
    assert_int_equal(read(other, got, sizeof(got)), 64);
    assert_int_equal(got[3], 60);
    assert_int_equal(got[4], 0x11);
    assert_int_equal(client.vector[2], 1);
}

static void receives(void **state)
{
    static const uint8_t frame[1514] = {1, 2, 3};
    uint32_t head, length;

    frame_in(frame, 60); /* before there is a buffer */
    frame_in(frame, sizeof(frame));
    client_turn();
    assert_false(client_used(RECEIVE, &head, &length));
    post(3);
    client_notify(RECEIVE);
    assert_true(client_used(RECEIVE, &head, &length));
    assert_int_equal(head, 3);
    assert_int_equal(length, HEADER + 60);
    assert_memory_equal(client_memory(BUFFERS + 3 * BUFFER + HEADER), frame, 60);
    assert_int_equal(client.vector[1], 1);
    post(4);
    post(5);
    client_notify(RECEIVE);
    assert_true(client_used(RECEIVE, &head, &length));
    assert_int_equal(length, HEADER + sizeof(frame));
    assert_false(client_used(RECEIVE, &head, &length));
    frame_in(frame, 100); /* a buffer waits */
    client_turn();
    assert_true(client_used(RECEIVE, &head, &length));
    assert_int_equal(length, HEADER + 100);
}

static void frames_come_in_pieces(void **state)
{
    uint8_t bytes[64] = {0, 0, 0, 60, 9, 9};
    uint32_t head, length;

    post(0);
    client_notify(RECEIVE);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        assert_false(client_used(RECEIVE, &head, &length));
        assert_int_equal(write(other, bytes + i, 1), 1);
        client_turn();
    }
    assert_true(client_used(RECEIVE, &head, &length));
    assert_int_equal(length, HEADER + 60);
}

static void a_frame_that_does_not_fit_is_lost(void **state)
{
    static const uint8_t frame[BUFFER];
    uint32_t head, length;

    post(0);
    client_notify(RECEIVE);
    frame_in(frame, BUFFER - HEADER + 1);
    client_turn();
    assert_false(client_used(RECEIVE, &head, &length));
    frame_in(frame, BUFFER - HEADER);
    client_turn();
    assert_true(client_used(RECEIVE, &head, &length));
    assert_int_equal(length, BUFFER);
}

static void no_such_frame_ends_the_link(void **state)
{
    const uint32_t prefix = htonl(65536);

    client_out(0x14, 2, 0); /* messages of configuration changes */
    assert_int_equal(client_in(0x1e, 2), 1);
    assert_int_equal(write(other, &prefix, 4), 4);
    client_turn();
    assert_int_equal(client_in(0x1e, 2), 0);
    assert_int_equal(client.vector[0], 1);
    frame_out(60, 1); /* goes nowhere, and is given back */
    client_notify(TRANSMIT);
    uint32_t head, length;

    assert_true(client_used(TRANSMIT, &head, &length));
}

static void the_other_end_goes(void **state)
{
    close(other);
    client_turn();
    assert_int_equal(client_in(0x1e, 2), 0);
    client_turn();
    other = open("/dev/null", O_RDONLY);
}

/* What the socket does not take waits; nothing is lost or cut. */
static void a_slow_end(void **state)
{
    static uint8_t got[70000];
    uint32_t head, length, count = 0, taken = 0, expect = 0;

    for (unsigned i = 0; i < 200; i++) {
        frame_out(30000, (uint8_t)i);
        client_notify(TRANSMIT);
        count++;
        if (!client_used(TRANSMIT, &head, &length)) {
            break;
        }
        taken++;
    }
    assert_int_equal(taken + 1, count); /* it stopped taking */
    for (unsigned idle = 0; idle < 100;) {
        ssize_t size = read(other, got + expect % 30004, 30004 - expect % 30004);

        client_turn();
        if (size <= 0) {
            idle++;
            continue;
        }
        expect += (uint32_t)size;
        if (expect % 30004 == 0) {
            assert_int_equal(got[3], 30000 & 0xff);
            assert_int_equal(got[4], got[30003]);
        }
    }
    assert_int_equal(expect, count * 30004);
    assert_true(client_used(TRANSMIT, &head, &length));
}

static void an_address_can_be_written(void **state)
{
    assert_int_equal(client_in(0x18, 4), 0xaa005452);
    client_out(0x1d, 1, 0x77);
    assert_int_equal(client_in(0x1c, 2), 0x77bb);
    client_out(0x1e, 2, 0);
    assert_int_equal(client_in(0x1e, 2), 1);
}

static const struct client_desc hostile[] = {
    {OUT, 4,      0,          0}, /* shorter than a header */
    {OUT, HEADER, 0,          0}, /* no frame */
    {OUT, 200000, 0,          0}, /* longer than any */
    {OUT, 64,     DESC_WRITE, 0}, /* nothing to send */
};

static void hostile_frames(void **state)
{
    uint32_t head, length;
    uint8_t got[16];

    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        client_set_desc(TRANSMIT, 0, hostile[i]);
        client_offer(TRANSMIT, 0);
        client_notify(TRANSMIT);
        assert_true(client_used(TRANSMIT, &head, &length));
        assert_true(read(other, got, sizeof(got)) < 0);
    }
    client_set_desc(TRANSMIT, 0, (struct client_desc){CLIENT_LOW - 32, 64, 0, 0});
    client_offer(TRANSMIT, 0);
    client_notify(TRANSMIT);
    assert_false(client_used(TRANSMIT, &head, &length));
    client_set_desc(RECEIVE, 0, (struct client_desc){CLIENT_LOW - 32, 64, DESC_WRITE, 0});
    client_offer(RECEIVE, 0);
    frame_in(got, 16);
    frame_in(got, 16);
    client_notify(RECEIVE);
    client_turn();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends, start_far, end),
        cmocka_unit_test_setup_teardown(receives, start_far, end),
        cmocka_unit_test_setup_teardown(frames_come_in_pieces, start_far, end),
        cmocka_unit_test_setup_teardown(a_frame_that_does_not_fit_is_lost, start_far, end),
        TEST(sends),
        TEST(receives),
        TEST(frames_come_in_pieces),
        TEST(a_frame_that_does_not_fit_is_lost),
        TEST(no_such_frame_ends_the_link),
        TEST(the_other_end_goes),
        TEST(a_slow_end),
        TEST(an_address_can_be_written),
        TEST(hostile_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
