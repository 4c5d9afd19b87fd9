/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated disk of portolan-vfiod, through vmm/legacy, with a driver that knows how and with
 * one that does not. */
#include "tests/unit/vfiod/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DISK      (1U << 20)
#define HEADER    0x40000U
#define DATA      0x50000U
#define STATUS    0x48000U
#define TABLE     0x60000U
#define FLUSH     (1U << 9)
#define INDIRECT  (1U << 28)
#define EVENT_IDX (1U << 29)

struct header {
    uint32_t type, priority;
    uint64_t sector;
};

static char path[64];

static void open_disk(const char *more)
{
    char options[256];

    client_start();
    strcpy(path, client_disk(DISK));
    (void)snprintf(options, sizeof(options), "block,file=%s%s", path, more);
    assert_true(vdev_open(options, false));
}

static int start(void **state)
{
    open_disk("");
    return 0;
}

static int start_admin(void **state)
{
    open_disk(",transport=admin");
    return 0;
}

static int start_read_only(void **state)
{
    open_disk(",read-only=on");
    return 0;
}

static int end(void **state)
{
    vdev_close();
    client_end();
    return 0;
}

static void set_request(uint32_t type, uint64_t sector)
{
    *(struct header *)client_memory(HEADER) = (struct header){.type = type, .sector = sector};
    *(uint8_t *)client_memory(STATUS) = 0xee;
}

/* Three descriptors, from INDEX on: header, LENGTH bytes of data, status. */
static void set_chain(unsigned index, uint32_t length, bool to_memory)
{
    uint16_t next = (uint16_t)(index + 1);

    client_set_desc(0, index, (struct client_desc){HEADER, 16, DESC_NEXT, next++});
    if (length > 0) {
        client_set_desc(0, index + 1,
                        (struct client_desc){DATA, length,
                                             (uint16_t)(DESC_NEXT | (to_memory ? DESC_WRITE : 0)),
                                             (uint16_t)(index + 2)});
        next = (uint16_t)(index + 2);
    }
    client_set_desc(0, length > 0 ? index + 2 : index + 1,
                    (struct client_desc){STATUS, 1, DESC_WRITE, 0});
}

/* Carry out a request; its status, and *LENGTH of the used entry. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t bytes, uint32_t *length)
{
    uint32_t head;

    set_request(type, sector);
    set_chain(7, bytes, type == 0 || type == 8);
    client_offer(0, 7);
    client_notify(0);
    assert_true(client_used(0, &head, length));
    assert_int_equal(head, 7);
    return *(uint8_t *)client_memory(STATUS);
}

static void file_read(uint64_t at, void *to, size_t size)
{
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, to, size, (off_t)at), (ssize_t)size);
    close(fd);
}

/* ---- As it should be ---- */

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
    assert_int_equal(client_in(0x14, 4), DISK / 512);
    assert_int_equal(client_in(0x00, 4) & (FLUSH | INDIRECT | EVENT_IDX),
                     FLUSH | INDIRECT | EVENT_IDX);
}

static void reads_and_writes(void **state)
{
    uint64_t sector[64];
    uint32_t length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~EVENT_IDX, 1);
    assert_int_equal(request(0, 5, 1024, &length), 0);
    assert_int_equal(length, 1025);
    assert_int_equal(*(uint64_t *)client_memory(DATA), 5);
    assert_int_equal(*(uint64_t *)client_memory(DATA + 512), 6);
    assert_int_equal(client.vector[1], 1);
    memset(client_memory(DATA), 0x5a, 512);
    assert_int_equal(request(1, 9, 512, &length), 0);
    assert_int_equal(length, 1);
    assert_int_equal(request(4, 0, 0, &length), 0);
    file_read(9 * 512, sector, 512);
    assert_int_equal(sector[0], 0x5a5a5a5a5a5a5a5a);
    file_read(10 * 512, sector, 512);
    assert_int_equal(sector[0], 10);
    assert_int_equal(request(8, 0, 20, &length), 0);
    assert_string_equal(client_memory(DATA), "portolan-vfiod");
    assert_int_equal(request(77, 0, 512, &length), 2);
    assert_int_equal(client.vector[1], 5);
}

static void interrupts_by_line(void **state)
{
    uint32_t length;

    client_enable(false);
    client_drive(false, 0, 1);
    assert_int_equal(request(0, 5, 512, &length), 0);
    assert_true(client.line);
    assert_int_equal(client_config_read(0x06, 2) & 8, 8);
    assert_int_equal(client_in(0x13, 1), 1);
    assert_false(client.line);
    assert_int_equal(client_in(0x13, 1), 0);
    client_config_write(0x04, 2, 0x0407);
    assert_int_equal(request(0, 5, 512, &length), 0);
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
    assert_int_equal(request(0, 5, 512, &length), 0);
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
    assert_int_equal(request(0, 5, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
}

static void takes_indirect_chains(void **state)
{
    struct client_desc *table = client_memory(TABLE);
    uint32_t head, length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~EVENT_IDX, 1);
    set_request(0, 3);
    table[0] = (struct client_desc){HEADER, 16, DESC_NEXT, 2};
    table[2] = (struct client_desc){DATA, 100, DESC_NEXT | DESC_WRITE, 1};
    table[1] = (struct client_desc){DATA + 4096, 412, DESC_NEXT | DESC_WRITE, 3};
    table[3] = (struct client_desc){STATUS, 1, DESC_WRITE, 0};
    client_set_desc(0, 0, (struct client_desc){TABLE, 64, DESC_INDIRECT, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(length, 513);
    assert_int_equal(*(uint8_t *)client_memory(STATUS), 0);
    assert_int_equal(*(uint64_t *)client_memory(DATA), 3);
}

static void takes_any_layout(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    set_request(1, 4); /* the data right behind the header, both in odd pieces */
    memset(client_memory(HEADER + 16), 0x77, 512);
    client_set_desc(0, 0, (struct client_desc){HEADER, 7, DESC_NEXT, 1});
    client_set_desc(0, 1, (struct client_desc){HEADER + 7, 521, DESC_NEXT, 2});
    client_set_desc(0, 2, (struct client_desc){STATUS, 1, DESC_WRITE, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(STATUS), 0);
    uint8_t byte;

    file_read(4 * 512 + 511, &byte, 1);
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
    assert_int_equal(request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 0);
    assert_int_equal(used[2 + 4 * CLIENT_SIZE], 1);
    assert_int_equal(request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
    assert_int_equal(request(0, 1, 512, &length), 0);
    assert_int_equal(client.vector[1], 1);
    assert_int_equal(used[2 + 4 * CLIENT_SIZE], 3);
}

/* More than a turn, and more than once around the ring. */
static void serves_many(void **state)
{
    uint32_t head, length, done = 0;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~EVENT_IDX, 1);
    set_request(0, 1);
    for (unsigned round = 0; round < 5; round++) {
        for (uint16_t i = 0; i < 80; i++) {
            set_chain(3U * i, 512, true);
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
    set_request(0, 2);
    set_chain(0, 512, true);
    client_offer(0, 0);
    client_turn();
    assert_false(client_used(0, &head, &length));
    assert_int_equal(vdev_describe()->notifies, 1);
    assert_int_equal(notify->match, 0);
    assert_int_equal(write(notify->handle, &one, 8), 8);
    client_turn();
    assert_true(client_used(0, &head, &length));
}

static void no_dma_without_bus_master(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    client_config_write(0x04, 2, 0x0003);
    set_request(0, 2);
    set_chain(0, 512, true);
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
    assert_int_equal(request(1, 3, 512, &length), 1);
    file_read(3 * 512, &sector, 8);
    assert_int_equal(sector, 3);
    assert_int_equal(request(0, 3, 512, &length), 0);
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
    set_request(0, 2);
    set_chain(0, 512, true);
    client_offer(0, 0);
    client_notify(0);
    assert_false(client_used(0, &head, &length));
}

/* ---- As it should not be ---- */

static void out_of_range(void **state)
{
    uint32_t length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(request(0, DISK / 512, 512, &length), 1);
    assert_int_equal(request(0, DISK / 512 - 1, 1024, &length), 1);
    assert_int_equal(request(0, UINT64_MAX, 512, &length), 1);
    assert_int_equal(request(1, UINT64_MAX / 512 + 1, 512, &length), 1);
    assert_int_equal(request(0, 0, 511, &length), 1);
    assert_int_equal(request(0, DISK / 512 - 1, 512, &length), 0);
}

/* Each of these ends what the queue does, and a driver that resets the device goes on. */
static const struct {
    const char *what;
    struct client_desc desc[3];
    uint16_t head;
} hostile[] = {
    {"a head that is none",        {{0}},                                                        256},
    {"a next that is none",        {{HEADER, 16, DESC_NEXT, 256}},                               0  },
    {"a loop",                     {{HEADER, 16, DESC_NEXT, 1}, {HEADER, 16, DESC_NEXT, 0}},     0  },
    {"nothing",                    {{HEADER, 0, 0, 0}},                                          0  },
    {"no status",                  {{HEADER, 16, 0, 0}},                                         0  },
    {"no header",                  {{STATUS, 1, DESC_WRITE, 0}},                                 0  },
    {"a short header",             {{HEADER, 15, DESC_NEXT, 1}, {STATUS, 1, DESC_WRITE, 0}},     0  },
    {"out after in",               {{STATUS, 1, DESC_WRITE | DESC_NEXT, 1}, {HEADER, 16, 0, 0}}, 0  },
    {"a status outside of memory", {{HEADER, 16, DESC_NEXT, 1}, {CLIENT_LOW, 1, DESC_WRITE, 0}}, 0  },
    {"a status that is read only",
     {{HEADER, 16, DESC_NEXT, 1}, {CLIENT_HIGH + CLIENT_HIGH_SIZE - 1, 1, DESC_WRITE, 0}},
     0                                                                                              },
    {"a table outside of memory",  {{CLIENT_LOW - 16, 32, DESC_INDIRECT, 0}},                    0  },
    {"a table at the end of all",  {{UINT64_MAX - 15, 32, DESC_INDIRECT, 0}},                    0  },
    {"half a table",               {{TABLE, 24, DESC_INDIRECT, 0}},                              0  },
    {"no table",                   {{TABLE, 0, DESC_INDIRECT, 0}},                               0  },
    {"a table and a next",         {{TABLE, 32, DESC_INDIRECT | DESC_NEXT, 1}},                  0  },
};

static void hostile_chains(void **state)
{
    uint32_t head, length;

    client_enable(true);
    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        client_drive(true, UINT32_MAX & ~EVENT_IDX, 1);
        set_request(4, 0);
        for (unsigned j = 0; j < 3; j++) {
            client_set_desc(0, j, hostile[i].desc[j]);
        }
        client_offer(0, hostile[i].head);
        client_notify(0);
        if (client_used(0, &head, &length)) {
            fail_msg("%s: it was carried out", hostile[i].what);
        }
        client_offer(0, 0);
        client_notify(0);
        assert_false(client_used(0, &head, &length));
    }
    client_drive(true, 0, 1);
    assert_int_equal(request(0, 1, 512, &length), 0);
}

static void a_table_in_a_table(void **state)
{
    struct client_desc *table = client_memory(TABLE);
    uint32_t head, length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~EVENT_IDX, 1);
    table[0] = (struct client_desc){TABLE, 32, DESC_INDIRECT, 0};
    client_set_desc(0, 0, (struct client_desc){TABLE, 32, DESC_INDIRECT, 0});
    client_offer(0, 0);
    client_notify(0);
    assert_false(client_used(0, &head, &length));
}

static void an_index_far_ahead(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    client.queue[0].avail += CLIENT_SIZE;
    client_offer(0, 0);
    client_notify(0);
    assert_false(client_used(0, &head, &length));
}

static void data_outside_of_memory(void **state)
{
    uint32_t head, length;

    client_enable(true);
    client_drive(true, 0, 1);
    set_request(0, 0);
    set_chain(0, 512, true);
    client_set_desc(0, 1, (struct client_desc){CLIENT_LOW - 256, 512, DESC_NEXT | DESC_WRITE, 2});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(STATUS), 1);
    set_request(1, 0);
    set_chain(0, 512, false);
    client_set_desc(0, 1, (struct client_desc){UINT64_MAX - 100, 512, DESC_NEXT, 2});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(STATUS), 1);
}

static void rings_outside_of_memory(void **state)
{
    static const uint32_t pfn[] = {CLIENT_LOW >> 12, (CLIENT_LOW >> 12) - 1, UINT32_MAX, 0x180,
                                   (CLIENT_HIGH + CLIENT_HIGH_SIZE - 0x3000) >> 12};

    client_enable(true);
    for (unsigned i = 0; i < sizeof(pfn) / sizeof(pfn[0]); i++) {
        client_drive(true, 0, 1);
        client_out(0x08, 4, pfn[i]);
        client_notify(0);
        client_notify(0);
    }
    assert_int_equal(client.marks, 0);
}

/* Registers of any width at any place, in all states of the device. */
static void registers_at_random(void **state)
{
    uint8_t bytes[16];
    uint64_t seed = 1;

    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        uint32_t region = seed >> 60 & 3 ? 0 : seed >> 58 & 1 ? 1 : VFIO_USER_CONFIG;
        uint64_t size = vdev_describe()->region[region].size, offset = (seed >> 33) % size;
        uint32_t most = size - offset < 16 ? (uint32_t)(size - offset) : 16;
        uint32_t count = 1 + (uint32_t)(seed >> 20) % most;

        memcpy(bytes, &seed, 8);
        memcpy(bytes + 8, &seed, 8);
        if ((seed >> 50 & 1) != 0) {
            assert_int_equal(vdev_write(region, offset, bytes, count), STATUS_OK);
        } else {
            assert_int_equal(vdev_read(region, offset, bytes, count), STATUS_OK);
        }
        if ((seed >> 40 & 0x3ff) == 0) {
            assert_int_equal(vdev_reset(), STATUS_OK);
            client_enable((seed >> 39 & 1) != 0);
        }
        client_turn();
    }
}

#define ON(test) cmocka_unit_test_setup_teardown(test, start, end)
#define ON_ADMIN(test)                                     \
    {                                                      \
#test " by commands", test, start_admin, end, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(looks_like_a_legacy_disk),
        ON(reads_and_writes),
        ON(interrupts_by_line),
        ON(unwanted_messages_wait),
        ON(keeps_the_clients_table),
        ON(takes_indirect_chains),
        ON(takes_any_layout),
        ON(asks_by_event_index),
        ON(serves_many),
        ON(notify_by_its_eventfd),
        ON(no_dma_without_bus_master),
        cmocka_unit_test_setup_teardown(read_only_is_kept, start_read_only, end),
        ON(reset_forgets),
        ON(out_of_range),
        ON(hostile_chains),
        ON(a_table_in_a_table),
        ON(an_index_far_ahead),
        ON(data_outside_of_memory),
        ON(rings_outside_of_memory),
        ON(registers_at_random),
        ON_ADMIN(looks_like_a_legacy_disk),
        ON_ADMIN(reads_and_writes),
        ON_ADMIN(interrupts_by_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
