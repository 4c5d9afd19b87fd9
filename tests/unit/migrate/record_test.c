/* SPDX-License-Identifier: BSD-2-Clause */
/* Records that are right, cut off, damaged, out of order, and of others. */
#include "vmm/migrate/record.h"
#include "vmm/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 600U

static const char *const text[RECORD_TYPES] = {NULL, "virtio-vf/1", "a function of odd length",
                                               "kind", "a device"};
static uint8_t bytes[ROOM], copy[ROOM];
static struct record record;

static uint32_t write_parts(const unsigned *types, unsigned count, uint32_t room)
{
    struct record_writer w;
    uint32_t part_room;

    memset(bytes, 0xa5, sizeof(bytes));
    record_begin(&w, bytes, room);
    for (unsigned i = 0; i < count; i++) {
        uint32_t length = (uint32_t)strlen(text[types[i]]);
        uint8_t *at = record_open(&w, (enum record_type)types[i], &part_room);

        if (length <= part_room) {
            memcpy(at, text[types[i]], length);
        }
        record_close(&w, length);
    }
    return record_end(&w);
}

static uint32_t write_good(void)
{
    static const unsigned types[] = {1, 2, 3, 4};

    return write_parts(types, 4, ROOM);
}

/* Make the checksum right again. */
static void mend(uint8_t *at, uint32_t size)
{
    uint32_t sum = state_checksum(at, size - STATE_CHECKSUM);

    memcpy(at + size - STATE_CHECKSUM, &sum, sizeof(sum));
}

static void refused(const uint8_t *at, uint32_t size, const char *why)
{
    assert_int_equal(record_parse(at, size, &record), STATUS_INVALID);
    assert_non_null(record.problem);
    if (why) {
        assert_string_equal(record.problem, why);
    }
}

static void test_good(void **unused)
{
    uint32_t size = write_good();

    assert_true(size > 0);
    assert_int_equal(record_parse(bytes, size, &record), STATUS_OK);
    for (unsigned type = 1; type < RECORD_TYPES; type++) {
        assert_int_equal(record.size[type], strlen(text[type]));
        assert_memory_equal(record.part[type], text[type], record.size[type]);
    }
}

/* With too little room there is no record, and nothing is written behind it. */
static void test_room(void **unused)
{
    static const unsigned types[] = {1, 2, 3, 4};
    uint32_t size = write_good();

    for (uint32_t room = 0; room < size; room++) {
        assert_int_equal(write_parts(types, 4, room), 0);
        for (uint32_t i = room; i < ROOM; i++) {
            assert_int_equal(bytes[i], 0xa5);
        }
    }
    assert_int_equal(write_parts(types, 4, size), size);
}

static void test_cut_off(void **unused)
{
    uint32_t size = write_good();

    for (uint32_t cut = 0; cut < size; cut++) {
        refused(bytes, cut, NULL);
        if (cut >=
            RECORD_HEADER + STATE_CHECKSUM) { /* and with a header and a checksum that agree */
            memcpy(copy, bytes, cut);
            memcpy(copy + 8, &cut, 4);
            mend(copy, cut);
            refused(copy, cut, NULL);
        }
    }
    refused(bytes, size + 1, "it is cut off, or something follows it");
}

static void test_damaged(void **unused)
{
    uint32_t size = write_good();

    for (uint32_t bit = 0; bit < 8 * size; bit++) {
        memcpy(copy, bytes, size);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(copy, size, NULL);
    }
}

static void test_parts(void **unused)
{
    static const struct {
        unsigned types[4], count;
        const char *why;
    } cases[] = {
        {{1, 2, 3},    3, "a part is missing"                     },
        {{1, 3, 4},    3, "a part is missing"                     },
        {{0},          0, "a part is missing"                     },
        {{1, 2, 4, 3}, 4, "a part is there twice, or out of order"},
        {{1, 2, 2, 4}, 4, "a part is there twice, or out of order"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        refused(bytes, write_parts(cases[i].types, cases[i].count, ROOM), cases[i].why);
    }
}

/* A part of a later version: refused, unless it may be left out. */
static void test_unknown(void **unused)
{
    uint32_t size = write_good(), longer = size + RECORD_PART;
    uint16_t type = 77, optional = RECORD_OPTIONAL;
    uint32_t parts = 5, none = 0;
    uint8_t *part = bytes + size - STATE_CHECKSUM;

    memcpy(part, &type, 2);
    memset(part + 2, 0, 2);
    memcpy(part + 4, &none, 4);
    memcpy(bytes + 8, &longer, 4);
    memcpy(bytes + 12, &parts, 4);
    mend(bytes, longer);
    refused(bytes, longer, "a part is not known");
    memcpy(part + 2, &optional, 2);
    mend(bytes, longer);
    assert_int_equal(record_parse(bytes, longer, &record), STATUS_OK);
    parts = 4;
    memcpy(bytes + 12, &parts, 4);
    mend(bytes, longer);
    refused(bytes, longer, "it has more or fewer parts than it says");
}

/* Put a part without a value at AT of the record in 'bytes', SIZE bytes so far. */
static uint32_t insert_part(uint32_t at, uint32_t size, uint16_t type, uint16_t flags)
{
    uint32_t longer = size + RECORD_PART, parts;

    memcpy(&parts, bytes + 12, 4);
    parts++;
    memmove(bytes + at + RECORD_PART, bytes + at, size - at);
    memset(bytes + at, 0, RECORD_PART);
    memcpy(bytes + at, &type, 2);
    memcpy(bytes + at + 2, &flags, 2);
    memcpy(bytes + 8, &longer, 4);
    memcpy(bytes + 12, &parts, 4);
    mend(bytes, longer);
    return longer;
}

/* Unknown parts have their place as known ones have: behind all of lower types, and once. */
static void test_unknown_order(void **unused)
{
    uint32_t size = insert_part(RECORD_HEADER, write_good(), 77, RECORD_OPTIONAL);

    refused(bytes, size, "a part is there twice, or out of order");
    size = write_good();
    size = insert_part(size - STATE_CHECKSUM, size, 77, RECORD_OPTIONAL);
    size = insert_part(size - STATE_CHECKSUM, size, 78, RECORD_OPTIONAL);
    assert_int_equal(record_parse(bytes, size, &record), STATUS_OK);
    size = insert_part(size - STATE_CHECKSUM, size, 78, RECORD_OPTIONAL);
    refused(bytes, size, "a part is there twice, or out of order");
}

/* Under a checksum that is right: a length that is not the part's, or is longer than the record. */
static void test_lengths(void **unused)
{
    static const uint32_t lengths[] = {0xffffffff, 0xfffffff8, 0x80000000, ROOM};
    uint32_t size = write_good(), kind_at = RECORD_HEADER;

    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        (void)write_good();
        memcpy(bytes + RECORD_HEADER + 4, &lengths[i], 4);
        mend(bytes, size);
        refused(bytes, size, "a part is cut off");
    }
    for (unsigned type = 1; type < 3; type++) {
        kind_at += RECORD_PART + (uint32_t)align_up(strlen(text[type]), 8);
    }
    for (uint32_t length = 0; length <= 8; length++) {
        (void)write_good();
        memcpy(bytes + kind_at + 4, &length, 4);
        mend(bytes, size);
        if (length == 0) { /* then its place is not the next part's */
            assert_int_equal(record_parse(bytes, size, &record), STATUS_INVALID);
        } else if (length != 4) {
            refused(bytes, size, "a part has the wrong length");
        } else {
            assert_int_equal(record_parse(bytes, size, &record), STATUS_OK);
        }
    }
}

static void test_version(void **unused)
{
    uint32_t size = write_good();

    bytes[4] = 2;
    mend(bytes, size);
    refused(bytes, size, "its version is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_room),
        cmocka_unit_test(test_cut_off), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_version), cmocka_unit_test(test_unknown_order),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
