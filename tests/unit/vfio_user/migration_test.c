/* SPDX-License-Identifier: BSD-2-Clause */
/* Migration and the log: features of today, and the region of 2021. */
#include "tests/unit/vfio_user/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DATA 8192U
#define PAGE 4096ULL

#define GET   0x10000U
#define SET   0x20000U
#define PROBE 0x40000U

enum { ERROR_STATE, STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P };

static int begin(void **state)
{
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_TODAY);
    for (unsigned i = 0; i < FAKE_STATE; i++) {
        fake.saved[i] = (uint8_t)(i * 7);
    }
    return 0;
}

static int begin_2021(void **state)
{
    (void)begin(state);
    fake_stop();
    fake_start(VFIO_USER_AUTO, DATA);
    fake_version(VFIO_USER_2021);
    for (unsigned i = 0; i < FAKE_STATE; i++) {
        fake.saved[i] = (uint8_t)(i * 7);
    }
    return 0;
}

static int end(void **state)
{
    fake_stop();
    return 0;
}

static int feature(uint32_t argsz, uint32_t flags, const void *data, uint32_t size)
{
    static uint8_t bytes[DATA];

    fake_put32(bytes, 2, argsz, flags);
    if (size != 0) {
        memcpy(bytes + 8, data, size);
    }
    return fake_command(COMMAND_FEATURE, bytes, 8 + size, NULL, 0);
}

static int set_state(uint32_t state)
{
    uint8_t data[8];

    fake_put32(data, 2, state, 0);
    return feature(16, SET | 2, data, 8);
}

static uint32_t get_state(void)
{
    assert_int_equal(feature(16, GET | 2, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 16);
    return bytes_get32(fake.reply + 8);
}

static void tells_of_features(void **state)
{
    static const struct {
        uint32_t flags;
        int error;
    } probes[] = {
        {PROBE | 1,             0 },
        {PROBE | GET | 1,       0 },
        {PROBE | SET | 1,       22},
        {PROBE | GET | SET | 2, 0 },
        {PROBE | SET | 6,       0 },
        {PROBE | GET | 6,       22},
        {PROBE | SET | 7,       0 },
        {PROBE | GET | 8,       0 },
        {PROBE | SET | 8,       22},
        {PROBE | GET | 0,       22},
        {PROBE | GET | 3,       22},
        {PROBE | GET | 9,       22},
        {PROBE | GET | 0xffff,  22},
        {1,                     22},
        {GET | SET | 2,         22},
        {GET | 1 | 0x80000,     22},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
        if (feature(64, probes[i].flags, NULL, 0) != probes[i].error) {
            fail_msg("probe %u", i);
        }
        assert_int_equal(fake.reply_size, probes[i].error == 0 ? 8 : 0);
    }
    assert_int_equal(feature(16, GET | 1, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 16);
    assert_int_equal(bytes_get32(fake.reply), 16);
    assert_int_equal(bytes_get64(fake.reply + 8), 5); /* STOP_COPY, PRE_COPY */
    assert_int_equal(feature(8, GET | 1, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 8); /* so much is needed: */
    assert_int_equal(bytes_get32(fake.reply), 16);
    assert_int_equal(feature(7, GET | 1, NULL, 0), 22);
    fake.function.migrates = fake.function.logs = false;
    assert_int_equal(feature(16, GET | 1, NULL, 0), 22);
    assert_int_equal(feature(16, PROBE | 7, NULL, 0), 22);
    fake.function.migrates = fake.function.logs = true;
}

static void goes_through_states(void **state)
{
    static const struct {
        uint32_t state;
        int error;
        uint32_t bits, now;
    } steps[] = {
        {STOP,         0,  0, STOP     },
        {STOP_COPY,    0,  2, STOP_COPY},
        {PRE_COPY,     22, 2, STOP_COPY},
        {RUNNING,      0,  1, RUNNING  },
        {PRE_COPY,     0,  3, PRE_COPY },
        {STOP_COPY,    0,  2, STOP_COPY},
        {RESUMING,     0,  4, RESUMING },
        {RUNNING,      0,  1, RUNNING  },
        {RUNNING_P2P,  22, 1, RUNNING  },
        {PRE_COPY_P2P, 22, 1, RUNNING  },
        {ERROR_STATE,  22, 1, RUNNING  },
        {8,            22, 1, RUNNING  },
        {UINT32_MAX,   22, 1, RUNNING  },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(set_state(steps[i].state), steps[i].error);
        assert_int_equal(fake.state, steps[i].bits);
        assert_int_equal(get_state(), steps[i].now);
    }
    /* Only a reset leaves ERROR. */
    fake.fails = STATUS_DEVICE;
    assert_int_equal(set_state(STOP), 5);
    assert_int_equal(get_state(), ERROR_STATE);
    fake.fails = STATUS_OK;
    assert_int_equal(set_state(RUNNING), 16);
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), 0);
    assert_int_equal(get_state(), RUNNING);
    assert_int_equal(feature(16, SET | 2, "\1\0\0\0", 4), 22); /* cut off */
    /* NDMA has no name today: it runs, or it does not. */
    fake.state = 9;
    assert_int_equal(get_state(), RUNNING);
    fake.state = 8;
    assert_int_equal(get_state(), STOP);
    fake.state = 1;
}

static int mig(uint16_t command, uint32_t argsz, uint32_t size, const uint8_t *data,
               uint32_t length)
{
    static uint8_t bytes[2 * DATA];

    fake_put32(bytes, 2, argsz, size);
    if (length != 0) {
        memcpy(bytes + 8, data, length);
    }
    return fake_command(command, bytes, 8 + length, NULL, 0);
}

static void moves_a_state(void **state)
{
    uint8_t stream[FAKE_STATE];

    memcpy(stream, fake.saved, FAKE_STATE);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 800, 700, NULL, 0), 16);
    assert_int_equal(set_state(STOP_COPY), 0);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 800, 700, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 708); /* of pieces of 300 */
    assert_int_equal(bytes_get32(fake.reply), 708);
    assert_int_equal(bytes_get32(fake.reply + 4), 700);
    assert_memory_equal(fake.reply + 8, stream, 700);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 108, 700, NULL, 0), 0);
    assert_int_equal(bytes_get32(fake.reply + 4), 100); /* no more than argsz has room for */
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 800, 700, NULL, 0), 0);
    assert_int_equal(bytes_get32(fake.reply + 4), 200); /* the end */
    assert_memory_equal(fake.reply + 8, stream + 800, 200);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 800, 700, NULL, 0), 0);
    assert_int_equal(bytes_get32(fake.reply + 4), 0);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 7, 700, NULL, 0), 22);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 9000, DATA + 1, NULL, 0), 7);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 18, 10, stream, 10), 16);
    /* Another one is given it. */
    assert_int_equal(set_state(RESUMING), 0);
    memset(fake.saved, 0, FAKE_STATE);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 607, 599, stream, 599), 0);
    assert_int_equal(fake.reply_size, 0);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 8, 0, NULL, 0), 0);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 409, 401, stream + 599, 401), 0);
    assert_memory_equal(fake.saved, stream, FAKE_STATE);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 9, 1, stream, 1), 7);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 18, 10, stream, 9), 22);
    assert_int_equal(mig(COMMAND_MIG_DATA_WRITE, 18, UINT32_MAX, stream, 9), 22);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 800, 700, NULL, 0), 16);
    assert_int_equal(set_state(RUNNING), 0);
}

static void tells_of_pre_copy(void **state)
{
    uint8_t bytes[24] = {24};

    assert_int_equal(fake_command(COMMAND_PRECOPY_INFO, bytes, 24, NULL, 0), 16);
    assert_int_equal(set_state(PRE_COPY), 0);
    assert_int_equal(fake_command(COMMAND_PRECOPY_INFO, bytes, 24, NULL, 0), 0);
    assert_int_equal(fake.reply_size, 24);
    assert_int_equal(bytes_get64(fake.reply + 16), 0);
    assert_int_equal(mig(COMMAND_MIG_DATA_READ, 108, 100, NULL, 0), 0);
    assert_int_equal(bytes_get32(fake.reply + 4), 0);
    bytes[0] = 23;
    assert_int_equal(fake_command(COMMAND_PRECOPY_INFO, bytes, 24, NULL, 0), 22);
}

static void logs(void **state)
{
    uint8_t data[16 + 2 * 16] = {0};
    uint8_t map[32];

    fake_put32(map, 2, 32, 3);
    fake_put64(map + 8, 3, 0ULL, 70 * PAGE, PAGE);
    assert_int_equal(fake_command(COMMAND_DMA_MAP, map, 32, NULL, 0), 0);
    fake_put64(data, 1, PAGE);
    fake_put32(data + 8, 1, 2);
    fake_put64(data + 16, 4, 0ULL, 100 * PAGE, 200 * PAGE, PAGE);
    assert_int_equal(feature(8, SET | 7, NULL, 0), 16);
    assert_int_equal(feature(56, SET | 6, data, 48), 0);
    assert_int_equal(fake.reply_size, 56);
    assert_int_equal(bytes_get64(fake.reply + 8), PAGE);
    assert_int_equal(fake.log_ranges, 2);
    assert_int_equal(feature(56, SET | 6, data, 48), 16);
    /* The report. */
    fake.map[0].written = true;
    fake_put64(data, 3, 0ULL, 128 * PAGE, PAGE);
    assert_int_equal(feature(32 + 16, GET | 8, data, 24), 0);
    assert_int_equal(fake.reply_size, 32 + 16);
    assert_int_equal(bytes_get32(fake.reply), 48);
    assert_int_equal(bytes_get64(fake.reply + 32), 0);
    assert_int_equal(bytes_get64(fake.reply + 40), 1ULL << (70 - 64));
    assert_int_equal(feature(32 + 15, GET | 8, data, 24), 0);
    assert_int_equal(fake.reply_size, 8);
    assert_int_equal(bytes_get32(fake.reply), 48);
    fake_put64(data, 3, 0ULL, (uint64_t)DATA * 8 * PAGE, PAGE);
    assert_int_equal(feature(32 + DATA, GET | 8, data, 24), 0); /* as much as fits */
    fake_put64(data, 3, 0ULL, (uint64_t)DATA * 8 * PAGE + 1, PAGE);
    assert_int_equal(feature(UINT32_MAX, GET | 8, data, 24), 7);
    fake_put64(data, 3, 0ULL, 0ULL, PAGE);
    assert_int_equal(feature(64, GET | 8, data, 24), 22);
    fake_put64(data, 3, 0ULL, PAGE, 3 * PAGE);
    assert_int_equal(feature(64, GET | 8, data, 24), 22);
    fake_put64(data, 3, PAGE, 2 * PAGE, 2 * PAGE);
    assert_int_equal(feature(64, GET | 8, data, 24), 22); /* begins within a page */
    fake_put64(data, 3, UINT64_MAX & ~(PAGE - 1), PAGE + 1, PAGE);
    assert_int_equal(feature(64, GET | 8, data, 24), 22);
    assert_int_equal(feature(64, GET | 8, data, 23), 22);
    assert_int_equal(feature(8, SET | 7, NULL, 0), 0);
    fake_put64(data, 3, 0ULL, PAGE, PAGE);
    assert_int_equal(feature(64, GET | 8, data, 24), 16);
}

/* Ranges that are none, too many, cut off; another page size is said. */
static void logs_ranges(void **state)
{
    uint8_t data[16 + 65 * 16] = {0};

    fake_put64(data, 1, PAGE);
    fake_put32(data + 8, 1, 1);
    assert_int_equal(feature(40, SET | 6, data, 32), 22);
    fake_put64(data + 16, 2, PAGE, UINT64_MAX);
    assert_int_equal(feature(40, SET | 6, data, 32), 22);
    fake_put64(data + 16, 2, PAGE, PAGE);
    assert_int_equal(feature(40, SET | 6, data, 31), 22);
    fake_put64(data, 1, 3 * PAGE);
    assert_int_equal(feature(40, SET | 6, data, 32), 22);
    fake_put64(data, 1, 512ULL);
    fake_put32(data + 8, 1, 65);
    assert_int_equal(feature(sizeof(data) + 8, SET | 6, data, sizeof(data)), 7);
    fake_put32(data + 8, 1, 64);
    for (uint64_t i = 0; i < 64; i++) {
        fake_put64(data + 16 + i * 16, 2, i * 2 * PAGE, PAGE);
    }
    assert_int_equal(feature(sizeof(data) + 8, SET | 6, data, sizeof(data) - 16), 0);
    assert_int_equal(fake.log_ranges, 64);
    assert_int_equal(feature(8, SET | 7, NULL, 0), 0);
    fake_put32(data + 8, 1, 0);
    fake.log_page = PAGE;
    assert_int_equal(feature(24, SET | 6, data, 16), 0);
    assert_int_equal(bytes_get64(fake.reply + 8), PAGE);
    /* It ends with the client: see fake_stop(). */
}

/* ---- The region of 2021 ---- */

static int region_read(uint64_t offset, uint32_t count)
{
    uint8_t bytes[16];

    fake_put64(bytes, 1, offset);
    fake_put32(bytes + 8, 2, 9, count);
    return fake_command(COMMAND_REGION_READ, bytes, 16, NULL, 0);
}

static uint64_t value(uint64_t offset, uint32_t count)
{
    assert_int_equal(region_read(offset, count), 0);
    return bytes_get(fake.reply + 16, count);
}

static int region_write(uint64_t offset, const void *data, uint32_t count)
{
    uint8_t bytes[16 + 1000];

    fake_put64(bytes, 1, offset);
    fake_put32(bytes + 8, 2, 9, count);
    memcpy(bytes + 16, data, count);
    return fake_command(COMMAND_REGION_WRITE, bytes, 16 + count, NULL, 0);
}

static int write_value(uint64_t offset, uint64_t number, uint32_t count)
{
    uint8_t bytes[8];

    bytes_put(bytes, 8, number);
    return region_write(offset, bytes, count);
}

static void saves_by_the_region(void **state)
{
    uint8_t stream[FAKE_STATE];
    uint32_t done = 0;

    assert_int_equal(value(0, 4), 1);
    assert_int_equal(value(8, 8), 0);
    assert_int_equal(write_value(0, 3, 4), 0);
    assert_int_equal(value(8, 8), 0); /* pre-copy: nothing now */
    assert_int_equal(write_value(0, 2, 4), 0);
    while (value(8, 8) != 0) {
        assert_int_equal(value(8, 8), FAKE_STATE - done); /* reading it changes nothing */
        assert_int_equal(value(16, 8), 4096);
        uint32_t size = (uint32_t)value(24, 8);

        assert_true(size > 0 && size <= FAKE_STATE - done);
        assert_int_equal(value(16, 8), 4096); /* nor does this */
        assert_int_equal(value(24, 8), size);
        assert_int_equal(region_read(4096, size + 1), 22);
        assert_int_equal(region_read(4096, size), 0);
        memcpy(stream + done, fake.reply + 16, size);
        assert_int_equal(region_read(4096 + size - 1, 1), 0); /* in parts */
        assert_int_equal(fake.reply[16], stream[done + size - 1]);
        done += size;
    }
    assert_int_equal(done, FAKE_STATE);
    assert_memory_equal(stream, fake.saved, FAKE_STATE);
    assert_int_equal(value(24, 8), 0);
    assert_int_equal(write_value(0, 0, 4), 0);
    assert_int_equal(write_value(0, 1, 4), 0);
}

static void loads_by_the_region(void **state)
{
    uint8_t stream[FAKE_STATE];

    memcpy(stream, fake.saved, FAKE_STATE);
    assert_int_equal(region_write(4096, stream, 10), 16);
    assert_int_equal(write_value(24, 10, 8), 16);
    assert_int_equal(write_value(0, 4, 4), 0);
    memset(fake.saved, 0, FAKE_STATE);
    assert_int_equal(value(16, 8), 4096);
    assert_int_equal(region_write(4096, stream, 400), 0);
    assert_int_equal(region_write(4096 + 500, stream, 1), 22); /* a hole */
    assert_int_equal(region_write(4096 + 400, stream + 400, 200), 0);
    assert_int_equal(write_value(24, 601, 8), 22);
    assert_int_equal(write_value(24, 600, 8), 0);
    assert_int_equal(write_value(24, 1, 8), 22); /* it is consumed */
    assert_int_equal(write_value(24, 0, 8), 0);
    assert_int_equal(region_write(4096, stream + 600, 400), 0);
    assert_int_equal(write_value(24, 400, 8), 0);
    assert_memory_equal(fake.saved, stream, FAKE_STATE);
    assert_int_equal(write_value(0, 1, 4), 0);
}

static void guards_the_registers(void **state)
{
    for (uint32_t bits = 0; bits < 32; bits++) {
        bool valid = bits < 16 && ((bits & 4) == 0 || (bits & 3) == 0);

        assert_int_equal(write_value(0, bits, 4), valid ? 0 : 22);
        if (valid) {
            assert_int_equal(value(0, 4), bits);
        }
    }
    assert_int_equal(write_value(0, 1, 4), 0);
    assert_int_equal(write_value(0, 0x80000001, 4), 22);
    assert_int_equal(write_value(4, 55, 4), 0); /* reserved */
    assert_int_equal(value(4, 4), 0);
    assert_int_equal(write_value(8, 1, 8), 22);
    assert_int_equal(write_value(16, 1, 8), 22);
    assert_int_equal(write_value(0, 1, 8), 22);
    assert_int_equal(write_value(0, 1, 2), 22);
    assert_int_equal(region_read(0, 8), 22);
    assert_int_equal(region_read(8, 4), 22);
    assert_int_equal(region_read(12, 8), 22);
    assert_int_equal(region_read(2, 4), 22);
    assert_int_equal(region_read(32, 8), 22);
    assert_int_equal(region_read(4095, 1), 22);
    assert_int_equal(region_read(4096, 1), 22); /* nothing is there */
    assert_int_equal(region_read(4096 + DATA, 1), 22);
    fake.fails = STATUS_DEVICE;
    assert_int_equal(write_value(0, 0, 4), 5);
    assert_int_equal(value(0, 4), 6); /* ERROR */
    fake.fails = STATUS_OK;
    assert_int_equal(write_value(0, 1, 4), 16);
    assert_int_equal(fake_command(COMMAND_2021_RESET, NULL, 0, NULL, 0), 0);
    assert_int_equal(value(0, 4), 1);
    /* A piece that cannot be had. */
    assert_int_equal(write_value(0, 2, 4), 0);
    fake.fails = STATUS_DEVICE;
    assert_int_equal(region_read(16, 8), 5);
    fake.fails = STATUS_OK;
    assert_int_equal(value(24, 8), 0);
}

/* An edge takes time: the message is carried out again from its beginning, and answered once. */
static void waits(void **state)
{
    static const uint8_t payload[16] = {16, 0, 0, 0, 2, 0, 2, 0, STOP_COPY};
    uint32_t room;

    fake.again = 3;
    assert_int_equal(fake_command(COMMAND_FEATURE, payload, sizeof(payload), NULL, 0), -1);
    assert_non_null(vfio_user_space(&fake.device.server, &room));
    assert_int_equal(room, 0);
    assert_int_equal(fake.state, 1);
    assert_false(vfio_user_again(&fake.device.server));
    assert_int_equal(fake.sent_size, 0);
    assert_true(vfio_user_again(&fake.device.server));
    assert_int_equal(fake.state, 2);
    assert_int_equal(fake.sent_size, HEADER + sizeof(payload));
    assert_true(vfio_user_again(&fake.device.server)); /* nothing waits any more */
    assert_int_equal(fake.sent_size, HEADER + sizeof(payload));
    assert_non_null(vfio_user_space(&fake.device.server, &room));
    assert_int_equal(room, HEADER);
    /* The client goes meanwhile. */
    fake.again = 5;
    assert_int_equal(fake_command(COMMAND_RESET, NULL, 0, NULL, 0), -1);
    vfio_user_disconnected(&fake.device.server);
    assert_true(vfio_user_again(&fake.device.server));
    assert_int_equal(fake.resets, 0);
    fake.again = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_of_features, begin, end),
        cmocka_unit_test_setup_teardown(goes_through_states, begin, end),
        cmocka_unit_test_setup_teardown(moves_a_state, begin, end),
        cmocka_unit_test_setup_teardown(tells_of_pre_copy, begin, end),
        cmocka_unit_test_setup_teardown(logs, begin, end),
        cmocka_unit_test_setup_teardown(logs_ranges, begin, end),
        cmocka_unit_test_setup_teardown(waits, begin, end),
        cmocka_unit_test_setup_teardown(saves_by_the_region, begin_2021, end),
        cmocka_unit_test_setup_teardown(loads_by_the_region, begin_2021, end),
        cmocka_unit_test_setup_teardown(guards_the_registers, begin_2021, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
