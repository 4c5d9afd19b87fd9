/* SPDX-License-Identifier: BSD-2-Clause */
/* What the function is, and accesses to its regions. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DATA 8192U

static int begin(void **state)
{
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_TODAY);
    return 0;
}

static int end(void **state)
{
    fake_stop();
    return 0;
}

static uint32_t reply32(uint32_t offset)
{
    assert_true(offset + 4 <= fake.reply_size);
    return bytes_get32(fake.reply + offset);
}

static uint64_t reply64(uint32_t offset)
{
    assert_true(offset + 8 <= fake.reply_size);
    return bytes_get64(fake.reply + offset);
}

static int ask(uint16_t command, uint32_t size, uint32_t argsz, uint32_t flags, uint32_t index)
{
    uint8_t bytes[64] = {0};

    fake_put32(bytes, 3, argsz, flags, index);
    return fake_command(command, bytes, size, NULL, 0);
}

static void tells_what_it_is(void **state)
{
    assert_int_equal(ask(COMMAND_GET_INFO, 16, 16, 0, 0), 0);
    assert_int_equal(fake.reply_size, 16);
    assert_int_equal(reply32(0), 16);
    assert_int_equal(reply32(4), 3); /* RESET, PCI */
    assert_int_equal(reply32(8), 9);
    assert_int_equal(reply32(12), 5);
    assert_int_equal(ask(COMMAND_GET_INFO, 16, 15, 0, 0), 22);
}

static void tells_of_regions(void **state)
{
    static const uint64_t sizes[9] = {64, 4096, 8192, 4096, 0, 0, 0, 256, 0};

    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 32, 0, i), 0);
        assert_int_equal(fake.reply_size, 32);
        assert_int_equal(reply32(8), i);
        assert_int_equal(reply64(16), sizes[i]);
        assert_int_equal(reply32(4) & 3, sizes[i] != 0 ? 3 : 0);
        assert_int_equal((reply32(4) & 4) != 0, i == 2 || i == 3);
        assert_int_equal(fake.sent_handles, i == 3 ? 1 : 0);
        assert_int_equal(reply32(0), i == 2 ? 32 + 48 : 32);
    }
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 31, 0, 0), 22);
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 32, 0, 9), 22);
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 32, 0, UINT32_MAX), 22);
}

static void chains_capabilities(void **state)
{
    /* Asked with too little room it says how much; then there is the handle, too. */
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 32, 0, 2), 0);
    assert_int_equal(reply32(0), 80);
    assert_int_equal(reply32(4), 15);
    assert_int_equal(reply32(12), 0);
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 80, 0, 2), 0);
    assert_int_equal(fake.reply_size, 80);
    assert_int_equal(fake.sent_handles, 1);
    assert_int_equal(fake.sent_handle[0], FAKE_REGION);
    assert_int_equal(reply32(12), 32);      /* cap_offset */
    assert_int_equal(reply64(24), 4096);    /* offset */
    assert_int_equal(reply32(32), 0x10001); /* sparse mmap, version 1 */
    assert_int_equal(reply32(36), 0);       /* the last */
    assert_int_equal(reply32(40), 2);
    assert_int_equal(reply64(48), 0);
    assert_int_equal(reply64(56), 4096);
    assert_int_equal(reply64(64), 4096);
    assert_int_equal(reply64(72), 4096);
}

static void has_a_migration_region_in_2021(void **state)
{
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_2021);
    assert_int_equal(ask(COMMAND_GET_INFO, 16, 16, 0, 0), 0);
    assert_int_equal(reply32(8), 10);
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 32, 0, 9), 0);
    assert_int_equal(fake.reply_size, 32);
    assert_int_equal(reply32(0), 32 + 16 + 8);
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 56, 0, 9), 0);
    assert_int_equal(fake.reply_size, 56);
    assert_int_equal(reply64(16), 4096 + DATA);
    assert_int_equal(reply32(4), 11);       /* read, write, capabilities */
    assert_int_equal(reply32(12), 32);      /* the first: */
    assert_int_equal(reply32(32), 0x10002); /* its type */
    assert_int_equal(reply32(36), 48);      /* the next: */
    assert_int_equal(reply32(40), 3);       /* migration */
    assert_int_equal(reply32(44), 1);
    assert_int_equal(reply32(48), 0x10006); /* NDMA */
    assert_int_equal(reply32(52), 0);
    fake.function.migrates = false;
    assert_int_equal(ask(COMMAND_GET_REGION_INFO, 32, 56, 0, 9), 22);
}

static void gives_handles_for_notifications(void **state)
{
    uint32_t all = 16 + 20 * 40;

    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, 16, 0, 0), 0);
    assert_int_equal(fake.reply_size, 16);
    assert_int_equal(reply32(0), all);
    assert_int_equal(reply32(12), 20);
    assert_int_equal(fake.sent_handles, 0);
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, all, 0, 0), 0);
    assert_int_equal(fake.reply_size, all);
    assert_int_equal(fake.sent_handles, 10); /* two share one */
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t at = 16 + i * 40;

        assert_int_equal(reply64(at), 16);
        assert_int_equal(reply64(at + 8), 2);
        assert_int_equal(reply32(at + 16), i / 2);
        assert_int_equal(reply32(at + 20), 0);
        assert_int_equal(reply32(at + 24), 3); /* by value, a port */
        assert_int_equal(reply64(at + 32), i);
    }
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, all, 0, 1), 0);
    assert_int_equal(reply32(12), 0);
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, all, 1, 0), 22);
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, all, 0, 9), 22);
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, 15, 0, 0), 22);
    /* As many as the client can take. */
    fake.device.server.client_handles = 3;
    assert_int_equal(ask(COMMAND_GET_REGION_IO_FDS, 16, all, 0, 0), 0);
    assert_int_equal(fake.sent_handles, 3);
    assert_int_equal(reply32(12), 6);
    assert_int_equal(reply32(0), 16 + 6 * 40);
}

/* ---- Accesses ---- */

static int access_region(uint16_t command, uint64_t offset, uint32_t region, uint32_t count,
                         const void *data, uint32_t size)
{
    static uint8_t bytes[3 * DATA];

    fake_put64(bytes, 1, offset);
    fake_put32(bytes + 8, 2, region, count);
    if (size != 0) {
        memcpy(bytes + 16, data, size);
    }
    return fake_command(command, bytes, 16 + size, NULL, 0);
}

static void reads_and_writes(void **state)
{
    static uint8_t zero[DATA];

    assert_int_equal(access_region(COMMAND_REGION_WRITE, 250, 7, 6, "abcdef", 6), 0);
    assert_int_equal(fake.reply_size, 16);
    assert_int_equal(reply64(0), 250);
    assert_int_equal(reply32(8), 7);
    assert_int_equal(reply32(12), 6);
    assert_int_equal(access_region(COMMAND_REGION_READ, 251, 7, 5, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 16 + 5);
    assert_int_equal(reply64(0), 251);
    assert_int_equal(reply32(12), 5);
    assert_memory_equal(fake.reply + 16, "bcdef", 5);
    assert_int_equal(access_region(COMMAND_REGION_READ, 0, 2, DATA, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 16 + DATA);
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 0, 2, DATA, zero, DATA), 0);
    /* Nothing is something, too. */
    assert_int_equal(access_region(COMMAND_REGION_READ, 256, 7, 0, NULL, 0), 0);
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 256, 7, 0, NULL, 0), 0);
    assert_int_equal(fake.reads, 2);
    assert_int_equal(fake.writes, 2);
    fake.fails = STATUS_DEVICE;
    assert_int_equal(access_region(COMMAND_REGION_READ, 0, 7, 4, NULL, 0), 5);
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 0, 7, 4, "abcd", 4), 5);
}

static void refuses_accesses_outside(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t region, count;
    } cases[] = {
        {255,            7,          2         },
        {256,            7,          1         },
        {UINT64_MAX,     7,          1         },
        {UINT64_MAX - 3, 7,          4         },
        {0,              7,          257       },
        {0,              7,          UINT32_MAX},
        {0,              6,          1         },
        {0,              8,          1         },
        {0,              9,          1         },
        {0,              UINT32_MAX, 1         },
        {1,              7,          0x80000000},
    };
    static uint8_t data[512];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(access_region(COMMAND_REGION_READ, cases[i].offset, cases[i].region,
                                       cases[i].count, NULL, 0),
                         22);
        assert_int_equal(access_region(COMMAND_REGION_WRITE, cases[i].offset, cases[i].region,
                                       cases[i].count, data,
                                       cases[i].count < 512 ? cases[i].count : 4),
                         22);
    }
    /* The data is not what was said. */
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 0, 7, 4, data, 3), 22);
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 0, 7, 4, data, 5), 22);
    assert_int_equal(access_region(COMMAND_REGION_READ, 0, 7, 4, data, 4), 22);
    /* More than the client can take. */
    fake.device.server.client_data = 100;
    assert_int_equal(access_region(COMMAND_REGION_READ, 0, 7, 101, NULL, 0), 22);
    assert_int_equal(access_region(COMMAND_REGION_READ, 0, 7, 100, NULL, 0), 0);
    assert_int_equal(fake.writes, 0);
    assert_int_equal(fake.reads, 1);
}

static void writes_many(void **state)
{
    uint8_t bytes[8 + 4 * 24] = {0};

    fake_put64(bytes, 1, (uint64_t)4);
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *at = bytes + 8 + (size_t)i * 24;

        fake_put64(at, 1, (uint64_t)i * 8);
        fake_put32(at + 8, 2, 7, 1 + i * 2);
        memcpy(at + 16, "01234567", 8);
    }
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, sizeof(bytes), NULL, 0), 0);
    assert_int_equal(fake.reply_size, 8);
    assert_int_equal(reply64(0), 4);
    assert_memory_equal(fake.region[7] + 16,
                        "01234\0\0\0"
                        "0123456",
                        15);
    /* It stops at one that cannot be. */
    fake_put32(bytes + 8 + 2 * 24 + 12, 1, 9);
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, sizeof(bytes), NULL, 0), 0);
    assert_int_equal(reply64(0), 2);
    assert_int_equal(fake.writes, 6);
    /* And is refused when its count is wrong. */
    fake_put64(bytes, 1, (uint64_t)3);
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, sizeof(bytes), NULL, 0), 22);
    fake_put64(bytes, 1, UINT64_MAX);
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, sizeof(bytes), NULL, 0), 22);
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, sizeof(bytes) - 1, NULL, 0), 22);
    fake_put64(bytes, 1, (uint64_t)0);
    assert_int_equal(fake_command(COMMAND_WRITE_MULTI, bytes, 8, NULL, 0), 0);
    assert_int_equal(reply64(0), 0);
}

static void counts_no_written_bytes_in_2021(void **state)
{
    fake_stop();
    fake_start(VFIO_USER_2021, DATA);
    fake_version(VFIO_USER_2021);
    assert_int_equal(access_region(COMMAND_REGION_WRITE, 0, 7, 4, "abcd", 4), 0);
    assert_int_equal(reply32(12), 0);
    assert_int_equal(fake_command(COMMAND_2021_RESET, NULL, 0, NULL, 0), 0);
    assert_int_equal(fake.resets, 1);
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), 95);
    assert_int_equal(fake_command(COMMAND_FEATURE, "\0\0\0\0\0\0\0\0", 8, NULL, 0), 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_it_is, begin, end),
        cmocka_unit_test_setup_teardown(tells_of_regions, begin, end),
        cmocka_unit_test_setup_teardown(chains_capabilities, begin, end),
        cmocka_unit_test_setup_teardown(has_a_migration_region_in_2021, begin, end),
        cmocka_unit_test_setup_teardown(gives_handles_for_notifications, begin, end),
        cmocka_unit_test_setup_teardown(reads_and_writes, begin, end),
        cmocka_unit_test_setup_teardown(refuses_accesses_outside, begin, end),
        cmocka_unit_test_setup_teardown(writes_many, begin, end),
        cmocka_unit_test_setup_teardown(counts_no_written_bytes_in_2021, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
