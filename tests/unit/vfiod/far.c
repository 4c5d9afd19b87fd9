/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated disk of portolan-vfiod in memory that only messages reach, and a client that
 * answers them late, wrongly, or not at all. block.c has what it does as in any memory. */
#include "tests/unit/vfiod/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static int start(void **state)
{
    disk_start("");
    client.far = true;
    client_enable(true);
    client_drive(true, 0, 1);
    return 0;
}

/* Three descriptors, header, data and status, an index more than once: each needs a message. */
static void takes_messages(void **state)
{
    uint32_t length;

    assert_int_equal(disk_request(0, 5, 8192, &length), 0);
    assert_int_equal(length, 8193);
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA + 8192 - 512), 20);
    assert_in_range(client.messages, 10 + 8192 / CLIENT_MESSAGE, 16 + 8192 / CLIENT_MESSAGE);
    assert_int_equal(client.vector[1], 1);
    client.messages = 0;
    memset(client_memory(DISK_DATA), 0x5a, 8192);
    assert_int_equal(disk_request(1, 40, 8192, &length), 0);
    uint8_t file[8192];

    disk_file_read(40 * 512, file, sizeof(file));
    assert_memory_equal(file, client_memory(DISK_DATA), sizeof(file));
    assert_in_range(client.messages, 10 + 8192 / CLIENT_MESSAGE, 16 + 8192 / CLIENT_MESSAGE);
}

/* The guest reads sector 2, and its client keeps its answers to itself. */
static void ask_silently(void)
{
    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client.silent = true;
    client_notify(0);
}

/* Nobody waits, nothing spins; registers work, and a reset ends it. */
static void a_client_that_does_not_answer(void **state)
{
    uint32_t head, length;

    ask_silently();
    assert_true(client.asked);
    assert_int_equal(client.messages, 1);
    assert_int_equal(client_in(0x12, 1), 7);
    client_out(0x12, 1, 0);
    client_drive(true, 0, 1);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client_notify(0);
    assert_int_equal(client.messages, 1); /* the first has no answer yet */
    client.silent = false;
    client_turn();
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA), 2);
    assert_int_equal(client.vector[1], 1);
}

static void a_client_that_goes(void **state)
{
    uint32_t length;

    ask_silently();
    vdev_client_left();
    client.asked = client.silent = false;
    assert_int_equal(vdev_reset(), STATUS_OK);
    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(disk_request(0, 3, 512, &length), 0);
}

/* An interrupt comes when the client has all that it is for. */
static void an_interrupt_waits_for_what_it_tells(void **state)
{
    uint32_t head, length;

    ask_silently();
    while (client.vector[1] == 0) {
        assert_false(client_used(0, &head, &length));
        client.messages = 0;
        client_step();
        client_turn();
        assert_true(client.messages <= 1);
    }
    assert_true(client_used(0, &head, &length));
}

/* The device asks whether there is more, the client says no, and before that arrives there is. */
static void a_notification_in_between_counts(void **state)
{
    uint32_t head, length;

    client.early = true;
    ask_silently();
    while (client.vector[1] == 0) {
        client_step();
        client_turn();
    }
    assert_true(client_used(0, &head, &length));
    assert_true(client.asked);
    client_offer(0, 0);
    client_notify(0);
    client.silent = false;
    client_turn();
    assert_int_equal(((uint16_t *)client_memory(client_used_at(0)))[1], 2);
}

static void errors_break_the_ring(void **state)
{
    uint32_t head, length;

    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client.refuses = true;
    client_notify(0);
    client.refuses = false;
    assert_in_range(client.messages, 1, 4);
    assert_false(client_used(0, &head, &length));
    client_drive(true, 0, 1);
    assert_int_equal(disk_request(0, 3, 512, &length), 0);
}

/* A request that is larger than what is kept of one fails, and no more than that. */
static void a_request_of_bounded_size(void **state)
{
    uint32_t head, length;

    disk_set_request(1, 0);
    client_set_desc(0, 0, (struct client_desc){DISK_HEADER, 16, DESC_NEXT, 1});
    for (uint16_t i = 1; i <= 16; i++) { /* of the same 128 KiB and a bit */
        client_set_desc(0, i,
                        (struct client_desc){DISK_DATA, 0x20200, DESC_NEXT, (uint16_t)(i + 1)});
    }
    client_set_desc(0, 17, (struct client_desc){DISK_STATUS, 1, DESC_WRITE, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(DISK_STATUS), 1);
    assert_int_equal(disk_request(0, 3, 512, &length), 0);
}

/* While a request is half done, by messages, the device is stopped; then it does all of it. */
static void a_stop_in_between(void **state)
{
    uint32_t head, length;

    ask_silently();
    for (unsigned i = 0; i < 4; i++) {
        client_step();
        client_turn();
    }
    assert_int_equal(vdev_set_state(0), STATUS_OK);
    client.silent = false;
    client_turn();
    assert_false(client_used(0, &head, &length));
    assert_int_equal(vdev_set_state(1), STATUS_OK);
    client_turn();
    assert_true(client_used(0, &head, &length));
    assert_false(client_used(0, &head, &length));
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA), 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, disk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_messages),
        TEST(a_client_that_does_not_answer),
        TEST(a_client_that_goes),
        TEST(an_interrupt_waits_for_what_it_tells),
        TEST(a_notification_in_between_counts),
        TEST(errors_break_the_ring),
        TEST(a_request_of_bounded_size),
        TEST(a_stop_in_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
