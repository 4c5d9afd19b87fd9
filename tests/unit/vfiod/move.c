/* SPDX-License-Identifier: BSD-2-Clause */
/* The function's state out of one daemon and into another: each device is closed before the next
 * one is opened, as there is one in a process. The client's memory stays. */
#include "tests/unit/vfiod/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vmm/migrate/device_state.h"

#define DISK      (1U << 20)
#define HEADER    0x40000U
#define STATUS    0x48000U
#define DATA      0x50000U
#define EVENT_IDX (1U << 29)

static char path[64];
static uint8_t stream[1 << 17];
static uint32_t length;

static bool open_disk(const char *more)
{
    char options[256];

    (void)snprintf(options, sizeof(options), "block,file=%s%s", path, more);
    return vdev_open(options, false);
}

static int start(void **state)
{
    client_start();
    strcpy(path, client_disk(DISK));
    assert_true(open_disk(""));
    client_config_write(0x10, 4, 0xc200);
    client_config_write(0x3c, 1, 11);
    return 0;
}

static int end(void **state)
{
    vdev_close();
    client_end();
    return 0;
}

static void offer_read(uint64_t sector)
{
    const uint64_t header[2] = {0, sector};

    memcpy(client_memory(HEADER), header, 16);
    *(uint8_t *)client_memory(STATUS) = 0xee;
    client_set_desc(0, 0, (struct client_desc){HEADER, 16, DESC_NEXT, 1});
    client_set_desc(0, 1, (struct client_desc){DATA, 512, DESC_NEXT | DESC_WRITE, 2});
    client_set_desc(0, 2, (struct client_desc){STATUS, 1, DESC_WRITE, 0});
    client_offer(0, 0);
}

static void expect_read(uint64_t sector)
{
    uint32_t head, used;

    assert_true(client_used(0, &head, &used));
    assert_int_equal(*(uint8_t *)client_memory(STATUS), 0);
    assert_int_equal(*(uint64_t *)client_memory(DATA), sector);
}

static void read_one(uint64_t sector)
{
    offer_read(sector);
    client_notify(0);
    expect_read(sector);
}

/* All that is pending now, in pieces of PIECE bytes, behind what there is. */
static void drain(uint32_t piece)
{
    while (vdev_pending() > 0) {
        uint32_t size = piece;

        assert_int_equal(vdev_save(stream + length, &size), STATUS_OK);
        assert_in_range(size, 1, piece);
        length += size;
    }
}

static void save(uint32_t piece)
{
    length = 0;
    assert_int_equal(vdev_set_state(DEVICE_RUNNING | DEVICE_SAVING), STATUS_OK);
    drain(piece);
    assert_true(length > 0);
    assert_int_equal(vdev_set_state(DEVICE_SAVING), STATUS_OK);
    drain(piece);
    assert_int_equal(vdev_set_state(DEVICE_STOP), STATUS_OK);
}

/* The next daemon, with MORE options. */
static void replace(const char *more)
{
    vdev_close();
    assert_true(open_disk(more));
    assert_int_equal(vdev_set_state(DEVICE_RESUMING), STATUS_OK);
}

static enum status load(uint32_t piece)
{
    for (uint32_t at = 0; at < length; at += piece) {
        enum status status = vdev_load(stream + at, length - at < piece ? length - at : piece);

        if (status != STATUS_OK) {
            return status;
        }
    }
    return vdev_set_state(DEVICE_RUNNING);
}

static void listen_all(void)
{
    vdev_vector_wanted(0, true);
    vdev_vector_wanted(1, true);
}

static void moves(uint32_t piece, const char *more, bool msix)
{
    client_enable(msix);
    client_drive(msix, UINT32_MAX & ~EVENT_IDX, 1);
    for (unsigned i = 0; i < 300; i++) {
        read_one(i);
    }
    (void)client_in(0x13, 1);
    save(piece);
    replace(more);
    client = (struct client){.queue = {client.queue[0]}};
    assert_int_equal(load(piece), STATUS_OK);
    if (msix) {
        assert_int_equal(client.vector[1], 0); /* nobody has listened yet */
        listen_all();
        assert_true(client.vector[1] > 0);
    } else {
        assert_true(client.line);
        (void)client_in(0x13, 1);
    }
    assert_int_equal(client_config_read(0x10, 4), 0xc201);
    assert_int_equal(client_config_read(0x04, 2), 7);
    assert_int_equal(client_config_read(0x3c, 1), 11);
    assert_int_equal(client_config_read(0x42, 2) >> 15, msix);
    assert_int_equal(client_in(0x12, 1), 7);
    unsigned before = client.vector[1] + client.rises;

    read_one(7);
    assert_int_equal(client.vector[1] + client.rises, before + 1);
    client_out(0x12, 1, 0); /* it can begin anew, too */
    client_drive(msix, UINT32_MAX & ~EVENT_IDX, 1);
    read_one(8);
}

static void moves_2021(void **state)
{
    moves(1 << 16, "", true);
}

static void moves_by_bytes(void **state)
{
    moves(1, "", true);
}

static void moves_intx(void **state)
{
    moves(100, "", false);
}

static void moves_to_commands(void **state)
{
    moves(4096, ",transport=admin", true);
}

static void moves_1_4(void **state)
{
    vdev_close();
    assert_true(open_disk(",abi=1.4,transport=admin"));
    client_config_write(0x10, 4, 0xc200);
    client_config_write(0x3c, 1, 11);
    moves(1000, ",abi=1.4", false);
}

static void what_was_rung_for_is_done(void **state)
{
    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    assert_int_equal(vdev_set_state(DEVICE_RUNNING | DEVICE_NDMA), STATUS_OK);
    client.marks = 0;
    offer_read(2);
    client_out(0x10, 2, 0);
    client_turn();
    assert_int_equal(client.marks, 0); /* no DMA */
    assert_int_equal(vdev_set_state(DEVICE_STOP), STATUS_OK);
    client_turn();
    assert_int_equal(client.marks, 0);
    save(4096);
    assert_int_equal(client.marks, 0);
    replace("");
    listen_all();
    assert_int_equal(load(4096), STATUS_OK);
    client_turn();
    expect_read(2);
}

/* It runs on as if nothing had been asked for. */
static void called_off(void **state)
{
    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    save(4096);
    offer_read(2);
    client_out(0x12, 1, 0); /* not while it is frozen */
    assert_int_equal(client_in(0x12, 1), 7);
    assert_int_equal(vdev_set_state(DEVICE_RUNNING), STATUS_OK);
    client_turn();
    expect_read(2);
    save(4096);
    assert_true(length > 0);
}

/* What a client writes to configuration space while the state is loaded counts, later. */
static void configuration_waits(void **state)
{
    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    save(4096);
    replace("");
    client_config_write(0x3c, 1, 5);
    client_config_write(0x04, 2, 0x0003);
    listen_all();
    assert_int_equal(load(4096), STATUS_OK);
    assert_int_equal(client_config_read(0x3c, 1), 5);
    offer_read(2);
    client_notify(0);
    uint32_t head, used;

    assert_false(client_used(0, &head, &used));
    client_config_write(0x04, 2, 0x0007);
    client_turn();
    expect_read(2);
}

/* ---- Refusals ---- */

/* By the preface, so before the source has stopped. */
static void another_disk_is_refused_early(void **state)
{
    char other[64];

    client_enable(true);
    length = 0;
    assert_int_equal(vdev_set_state(DEVICE_RUNNING | DEVICE_SAVING), STATUS_OK);
    drain(4096);
    vdev_close();
    strcpy(other, path);
    assert_int_equal(strlen(path), strlen(other));
    strcpy(path, client_disk(2 * DISK));
    assert_true(open_disk(""));
    assert_int_equal(vdev_set_state(DEVICE_RESUMING), STATUS_OK);
    assert_int_equal(vdev_load(stream, length), STATUS_CONFLICT);
    assert_non_null(strstr(client.words, "cfg"));
    assert_int_equal(vdev_set_state(DEVICE_RUNNING), STATUS_INVALID);
    assert_int_equal(vdev_state(), DEVICE_RESUMING);
    assert_int_equal(vdev_reset(), STATUS_OK);
    assert_int_equal(vdev_state(), DEVICE_RUNNING);
    client_drive(true, 0, 1);
}

static void other_options_are_refused(void **state)
{
    static const struct {
        const char *more;
        enum status status; /* INVALID: by the device, when it has all */
    } options[] = {
        {",abi=1.4",        STATUS_CONFLICT},
        {",queue-size=128", STATUS_CONFLICT},
        {",read-only=on",   STATUS_INVALID },
    };

    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    save(4096);
    for (unsigned i = 0; i < 3; i++) {
        replace(options[i].more);
        assert_int_equal(load(4096), options[i].status);
    }
}

static void without_migration(void **state)
{
    vdev_close();
    assert_true(open_disk(",abi=none"));
    assert_false(vdev_describe()->migrates);
    assert_int_equal(vdev_set_state(DEVICE_STOP), STATUS_UNSUPPORTED);
    assert_int_equal(vdev_state(), DEVICE_RUNNING);
    client_enable(true);
    client_drive(true, 0, 1);
    read_one(3);
}

static void no_states(void **state)
{
    uint32_t size = 1;

    for (unsigned wanted = 0; wanted < 20; wanted++) {
        if (!device_state_is_valid(wanted)) {
            assert_int_equal(vdev_set_state(wanted), STATUS_INVALID);
        }
    }
    assert_int_equal(vdev_save(stream, &size), STATUS_STATE);
    assert_int_equal(vdev_load(stream, 1), STATUS_STATE);
    assert_int_equal(vdev_pending(), 0);
}

/* Any byte changed, and any length: refused, or it does not matter; never more than that. */
static void a_damaged_stream(void **state)
{
    static uint8_t whole[sizeof(stream)];
    unsigned refused = 0, tries = 0;

    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    save(4096);
    uint32_t size = length;

    memcpy(whole, stream, size);
    for (uint32_t at = 0; at < size; at += at < 200 ? 7 : 131, tries++) {
        memcpy(stream, whole, size);
        stream[at] ^= 0x55;
        assert_int_equal(vdev_set_state(DEVICE_RESUMING), STATUS_OK);
        if (load(4096) != STATUS_OK) {
            refused++;
        } else {
            assert_in_range(at, 8,
                            8 + whole[4] + 256 * whole[5] - 1); /* the record has the text again */
        }
        assert_int_equal(vdev_reset(), STATUS_OK);
        length = at; /* cut */
        assert_int_equal(vdev_set_state(DEVICE_RESUMING), STATUS_OK);
        memcpy(stream, whole, size);
        assert_true(load(4096) != STATUS_OK || at == 0);
        assert_int_equal(vdev_reset(), STATUS_OK);
        length = size;
    }
    assert_in_range(refused, tries - 10, tries);
    assert_int_equal(vdev_set_state(DEVICE_RESUMING), STATUS_OK);
    assert_int_equal(load(4096), STATUS_OK);
}

/* A ring that the target cannot read, or whose index is another, cannot run. */
static void another_memory(void **state)
{
    client_enable(true);
    client_drive(true, 0, 1);
    read_one(1);
    save(4096);
    replace("");
    ((uint16_t *)client_memory(client_used_at(0)))[1] += 3;
    assert_int_equal(load(4096), STATUS_INVALID);
    assert_int_equal(vdev_state(), DEVICE_ERROR);
    assert_int_equal(vdev_set_state(DEVICE_RUNNING), STATUS_STATE);
    assert_int_equal(vdev_reset(), STATUS_OK);
    assert_int_equal(vdev_state(), DEVICE_RUNNING);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(moves_2021),
        TEST(moves_by_bytes),
        TEST(moves_intx),
        TEST(moves_to_commands),
        TEST(moves_1_4),
        TEST(what_was_rung_for_is_done),
        TEST(called_off),
        TEST(configuration_waits),
        TEST(another_disk_is_refused_early),
        TEST(other_options_are_refused),
        TEST(without_migration),
        TEST(no_states),
        TEST(a_damaged_stream),
        TEST(another_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
