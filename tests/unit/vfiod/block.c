/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated disk of portolan-vfiod, through vmm/legacy, with a driver that knows how. */
#include "tests/unit/vfiod/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#define FLUSH    (1U << 9)
#define INDIRECT (1U << 28)

static int start_admin(void **state)
{
    disk_start(",transport=admin");
    return 0;
}

static int start_read_only(void **state)
{
    disk_start(",read-only=on");
    return 0;
}

static int start_far(void **state)
{
    disk_start("");
    client.far = true;
    return 0;
}

static void looks_like_a_legacy_disk(void **state)
{
    assert_int_equal(client_config_read(0x00, 4), 0x10011af4);
    assert_int_equal(client_config_read(0x2c, 4), 0x00021af4);
    assert_int_equal(client_config_read(0x10, 4), 1);
    assert_int_equal(client_in(0x00, 4), 0xffffffff); /* nothing is decoded yet */
    client_config_write(0x10, 4, 0xffffffff);
    assert_int_equal(client_config_read(0x10, 4),
                     ~(uint32_t)(vdev_describe()->region[0].size - 1) | 1);
    client_config_write(0x14, 4, 0xffffffff);
    assert_int_equal(client_config_read(0x14, 4), 0xfffff000);
    client_config_write(0x10, 4, 0xc100);
    client_enable(false);
    assert_int_equal(client_config_read(0x10, 4), 0xc101);
    assert_int_equal(client_config_read(0x04, 2), 7);
    assert_int_equal(client_in(0x0c, 2), 256);
    assert_int_equal(client_in(0x14, 4), DISK_SIZE / 512);
    assert_int_equal(client_in(0x00, 4) & (FLUSH | INDIRECT | DISK_EVENT_IDX),
                     FLUSH | INDIRECT | DISK_EVENT_IDX);
}

static void reads_and_writes(void **state)
{
    uint64_t sector[64];
    uint32_t length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~DISK_EVENT_IDX, 1);
    assert_int_equal(disk_request(0, 5, 1024, &length), 0);
    assert_int_equal(length, 1025);
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA), 5);
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA + 512), 6);
    assert_int_equal(client.vector[1], 1);
    memset(client_memory(DISK_DATA), 0x5a, 512);
    assert_int_equal(disk_request(1, 9, 512, &length), 0);
    assert_int_equal(length, 1);
    assert_int_equal(disk_request(4, 0, 0, &length), 0);
    disk_file_read(9 * 512, sector, 512);
    assert_int_equal(sector[0], 0x5a5a5a5a5a5a5a5a);
    disk_file_read(10 * 512, sector, 512);
    assert_int_equal(sector[0], 10);
    assert_int_equal(disk_request(8, 0, 20, &length), 0);
    assert_string_equal(client_memory(DISK_DATA), "portolan-vfiod");
    assert_int_equal(disk_request(77, 0, 512, &length), 2);
    assert_int_equal(client.vector[1], 5);
}

static void interrupts_by_line(void **state)
{
    uint32_t length;

    client_enable(false);
    client_drive(false, 0, 1);
    assert_int_equal(disk_request(0, 5, 512, &length), 0);
    assert_true(client.line);
    assert_int_equal(client_config_read(0x06, 2) & 8, 8);
    assert_int_equal(client_in(0x13, 1), 1);
    assert_false(client.line);
    assert_int_equal(client_in(0x13, 1), 0);
    client_config_write(0x04, 2, 0x0407);
    assert_int_equal(disk_request(0, 5, 512, &length), 0);
    assert_false(client.line);
    client_config_write(0x04, 2, 0x0007);
    assert_true(client.line);
}

static void unwanted_messages_wait(void **state)
{
    uint32_t length;

    client_enable(true);
    client_drive(true, 0, 1);
    vdev_vector_wanted(1, false);
    assert_int_equal(disk_request(0, 5, 512, &length), 0);
    assert_int_equal(client.vector[1], 0);
    uint8_t pending;

    assert_int_equal(vdev_read(1, 2048, &pending, 1), STATUS_OK);
    assert_int_equal(pending, 2);
    vdev_vector_wanted(1, true);
    assert_int_equal(client.vector[1], 1);
}

static void keeps_the_clients_table(void **state)
{
    const uint8_t entry[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0};
    uint8_t back[64];
    uint32_t length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(vdev_write(1, 16, entry, 16), STATUS_OK);
    assert_int_equal(vdev_read(1, 0, back, 64), STATUS_OK);
    assert_memory_equal(back + 16, entry, 16);
    assert_int_equal(back[12], 1);
    assert_int_equal(back[32], 0); /* it has two entries */
    assert_int_equal(disk_request(0, 5, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
}

static void takes_indirect_chains(void **state)
{
    struct client_desc *table = client_memory(DISK_TABLE);
    uint32_t head, length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~DISK_EVENT_IDX, 1);
    disk_set_request(0, 3);
    table[0] = (struct client_desc){DISK_HEADER, 16, DESC_NEXT, 2};
    table[2] = (struct client_desc){DISK_DATA, 100, DESC_NEXT | DESC_WRITE, 1};
    table[1] = (struct client_desc){DISK_DATA + 4096, 412, DESC_NEXT | DESC_WRITE, 3};
    table[3] = (struct client_desc){DISK_STATUS, 1, DESC_WRITE, 0};
    client_set_desc(0, 0, (struct client_desc){DISK_TABLE, 64, DESC_INDIRECT, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(length, 513);
    assert_int_equal(*(uint8_t *)client_memory(DISK_STATUS), 0);
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA), 3);
}

static void takes_any_layout(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    disk_set_request(1, 4); /* the data right behind the header, both in odd pieces */
    memset(client_memory(DISK_HEADER + 16), 0x77, 512);
    client_set_desc(0, 0, (struct client_desc){DISK_HEADER, 7, DESC_NEXT, 1});
    client_set_desc(0, 1, (struct client_desc){DISK_HEADER + 7, 521, DESC_NEXT, 2});
    client_set_desc(0, 2, (struct client_desc){DISK_STATUS, 1, DESC_WRITE, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(DISK_STATUS), 0);
    uint8_t byte;

    disk_file_read(4 * 512 + 511, &byte, 1);
    assert_int_equal(byte, 0x77);
}

static void asks_by_event_index(void **state)
{
    uint16_t *avail, *used;
    uint32_t length;

    client_enable(true);
    client_drive(true, UINT32_MAX, 1);
    avail = client_memory(client_avail_at(0));
    used = client_memory(client_used_at(0));
    avail[2 + CLIENT_SIZE] = 1; /* an interrupt for the second */
    assert_int_equal(disk_request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 0);
    assert_int_equal(used[2 + 4 * CLIENT_SIZE], 1);
    assert_int_equal(disk_request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
    assert_int_equal(disk_request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
    assert_int_equal(used[2 + 4 * CLIENT_SIZE], 3);
}

/* More than a turn, and more than once around the ring. */
static void serves_many(void **state)
{
    uint32_t head, length, done = 0;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~DISK_EVENT_IDX, 1);
    disk_set_request(0, 1);
    for (unsigned round = 0; round < 5; round++) {
        for (uint16_t i = 0; i < 80; i++) {
            disk_set_chain(3U * i, 512, true);
            client_offer(0, (uint16_t)(3 * i));
        }
        client_notify(0);
        for (uint16_t i = 0; i < 80; i++, done++) {
            assert_true(client_used(0, &head, &length));
            assert_int_equal(head, 3 * i);
        }
        assert_false(client_used(0, &head, &length));
    }
    assert_int_equal(done, 400);
    assert_in_range(client.vector[1], 5, 400);
}

static void notify_by_its_eventfd(void **state)
{
    const struct vfio_user_notify *notify = &vdev_describe()->notify[0];
    const uint64_t one = 1;
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client_turn();
    assert_false(client_used(0, &head, &length));
    assert_int_equal(vdev_describe()->notifies, 1);
    assert_int_equal(notify->match, 0);
    assert_int_equal(write(notify->handle, &one, 8), 8);
    client_turn();
    assert_true(client_used(0, &head, &length));
}

/* A VMM changes the map of its guest's memory. */
static void memory_comes_back(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(disk_request(0, 1, 512, &length), 0);
    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client.away = true;
    client_notify(0);
    client.away = false;
    assert_false(client_used(0, &head, &length));
    vdev_poll(NULL, 0); /* as after its time */
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint64_t *)client_memory(DISK_DATA), 2);
}

static void no_dma_without_bus_master(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    client_config_write(0x04, 2, 0x0003);
    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client_notify(0);
    assert_false(client_used(0, &head, &length));
    client_config_write(0x04, 2, 0x0007);
    client_turn();
    assert_true(client_used(0, &head, &length));
}

static void read_only_is_kept(void **state)
{
    uint64_t sector;
    uint32_t length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(client_in(0x00, 4) >> 5 & 1, 1);
    assert_int_equal(disk_request(1, 3, 512, &length), 1);
    disk_file_read(3 * 512, &sector, 8);
    assert_int_equal(sector, 3);
    assert_int_equal(disk_request(0, 3, 512, &length), 0);
}

static void reset_forgets(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(vdev_reset(), STATUS_OK);
    assert_int_equal(client_config_read(0x04, 2), 0);
    client_enable(false);
    assert_int_equal(client_in(0x12, 1), 0);
    assert_int_equal(client_in(0x08, 4), 0);
    disk_set_request(0, 2);
    disk_set_chain(0, 512, true);
    client_offer(0, 0);
    client_notify(0);
    assert_false(client_used(0, &head, &length));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, disk_set_up, disk_tear_down)
#define FAR(test)                                                     \
    {                                                                 \
#test " in far memory", test, start_far, disk_tear_down, NULL \
    }
#define ON_ADMIN(test)                                                \
    {                                                                 \
#test " by commands", test, start_admin, disk_tear_down, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks_like_a_legacy_disk),
        TEST(reads_and_writes),
        TEST(interrupts_by_line),
        TEST(unwanted_messages_wait),
        TEST(keeps_the_clients_table),
        TEST(takes_indirect_chains),
        TEST(takes_any_layout),
        TEST(asks_by_event_index),
        TEST(serves_many),
        TEST(notify_by_its_eventfd),
        TEST(memory_comes_back),
        TEST(no_dma_without_bus_master),
        cmocka_unit_test_setup_teardown(read_only_is_kept, start_read_only, disk_tear_down),
        TEST(reset_forgets),
        FAR(reads_and_writes),
        FAR(interrupts_by_line),
        FAR(takes_indirect_chains),
        FAR(takes_any_layout),
        FAR(serves_many),
        FAR(notify_by_its_eventfd),
        FAR(no_dma_without_bus_master),
        FAR(reset_forgets),
        ON_ADMIN(looks_like_a_legacy_disk),
        ON_ADMIN(reads_and_writes),
        ON_ADMIN(interrupts_by_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
