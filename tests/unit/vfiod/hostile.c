/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated disk of portolan-vfiod with drivers that do not know how: it ends the queue, or
 * fails the request, and works again after a reset. */
#include "tests/unit/vfiod/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void out_of_range(void **state)
{
    uint32_t length;

    client_enable(true);
    client_drive(true, 0, 1);
    assert_int_equal(disk_request(0, DISK_SIZE / 512, 512, &length), 1);
    assert_int_equal(disk_request(0, DISK_SIZE / 512 - 1, 1024, &length), 1);
    assert_int_equal(disk_request(0, UINT64_MAX, 512, &length), 1);
    assert_int_equal(disk_request(1, UINT64_MAX / 512 + 1, 512, &length), 1);
    assert_int_equal(disk_request(0, 0, 511, &length), 1);
    assert_int_equal(disk_request(0, DISK_SIZE / 512 - 1, 512, &length), 0);
}

/* Each of these ends what the queue does, and a driver that resets the device goes on. */
static const struct {
    const char *what;
    struct client_desc desc[3];
    uint16_t head;
} hostile[] = {
    {"a head that is none",        {{0}},                                                                  256},
    {"a next that is none",        {{DISK_HEADER, 16, DESC_NEXT, 256}},                                    0  },
    {"a loop",                     {{DISK_HEADER, 16, DESC_NEXT, 1}, {DISK_HEADER, 16, DESC_NEXT, 0}},     0  },
    {"nothing",                    {{DISK_HEADER, 0, 0, 0}},                                               0  },
    {"no status",                  {{DISK_HEADER, 16, 0, 0}},                                              0  },
    {"no header",                  {{DISK_STATUS, 1, DESC_WRITE, 0}},                                      0  },
    {"a short header",             {{DISK_HEADER, 15, DESC_NEXT, 1}, {DISK_STATUS, 1, DESC_WRITE, 0}},     0  },
    {"out after in",               {{DISK_STATUS, 1, DESC_WRITE | DESC_NEXT, 1}, {DISK_HEADER, 16, 0, 0}}, 0  },
    {"a status outside of memory",
     {{DISK_HEADER, 16, DESC_NEXT, 1}, {CLIENT_LOW, 1, DESC_WRITE, 0}},
     0                                                                                                        },
    {"a status that is read only",
     {{DISK_HEADER, 16, DESC_NEXT, 1}, {CLIENT_HIGH + CLIENT_HIGH_SIZE - 1, 1, DESC_WRITE, 0}},
     0                                                                                                        },
    {"a table outside of memory",  {{CLIENT_LOW - 16, 32, DESC_INDIRECT, 0}},                              0  },
    {"a table at the end of all",  {{UINT64_MAX - 15, 32, DESC_INDIRECT, 0}},                              0  },
    {"half a table",               {{DISK_TABLE, 24, DESC_INDIRECT, 0}},                                   0  },
    {"no table",                   {{DISK_TABLE, 0, DESC_INDIRECT, 0}},                                    0  },
    {"a table and a next",         {{DISK_TABLE, 32, DESC_INDIRECT | DESC_NEXT, 1}},                       0  },
};

static void hostile_chains(void **state)
{
    uint32_t head, length;

    client_enable(true);
    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        client_drive(true, UINT32_MAX & ~DISK_EVENT_IDX, 1);
        disk_set_request(4, 0);
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
    assert_int_equal(disk_request(0, 1, 512, &length), 0);
}

static void a_table_in_a_table(void **state)
{
    struct client_desc *table = client_memory(DISK_TABLE);
    uint32_t head, length;

    client_enable(true);
    client_drive(true, UINT32_MAX & ~DISK_EVENT_IDX, 1);
    table[0] = (struct client_desc){DISK_TABLE, 32, DESC_INDIRECT, 0};
    client_set_desc(0, 0, (struct client_desc){DISK_TABLE, 32, DESC_INDIRECT, 0});
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
    disk_set_request(0, 0);
    disk_set_chain(0, 512, true);
    client_set_desc(0, 1, (struct client_desc){CLIENT_LOW - 256, 512, DESC_NEXT | DESC_WRITE, 2});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(DISK_STATUS), 1);
    disk_set_request(1, 0);
    disk_set_chain(0, 512, false);
    client_set_desc(0, 1, (struct client_desc){UINT64_MAX - 100, 512, DESC_NEXT, 2});
    client_offer(0, 0);
    client_notify(0);
    assert_true(client_used(0, &head, &length));
    assert_int_equal(*(uint8_t *)client_memory(DISK_STATUS), 1);
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

#define TEST(test) cmocka_unit_test_setup_teardown(test, disk_set_up, disk_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(out_of_range),        TEST(hostile_chains),         TEST(a_table_in_a_table),
        TEST(an_index_far_ahead),  TEST(data_outside_of_memory), TEST(rings_outside_of_memory),
        TEST(registers_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
