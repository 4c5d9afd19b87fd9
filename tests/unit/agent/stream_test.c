/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of a stream between hosts: what is written is read, and nothing else is. The golden file
 * is a stream of version 1, kept for later versions: '--write FILE' made it.
 */
#include "guest/agent/page_chunk.h"
#include "guest/agent/stream_record.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_MAX (64U << 10)

static const char *golden_path;
static uint8_t stream[FILE_MAX];
static uint32_t length;

static const struct stream_vm example = {
    .name = "legacy-1",
    .id = {1,  2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .vfs = 1,
    .runs = 2,
    .voids = 1,
    .run = {{0, 0xa0000}, {0x100000, 0x300000}},
    .void_id = {{0xaa}},
};

static const char *const texts[] = {
    "vm/1;pc=1;cpus=2",
    "virtio-vf/1;abi=2021;cfg=1f0a7c23",
};

/* ---- A stream ---- */

static void put_record(enum stream_type type, const uint8_t *payload, uint32_t size)
{
    stream_put_header(stream + length, type, payload, size);
    memcpy(stream + length + STREAM_HEADER, payload, size);
    length += STREAM_HEADER + size;
}

/* Pages 1 and 2 zero, page 3 a pattern, page 4 like nothing else. */
static void put_pages(bool compress)
{
    static struct chunk_writer writer;
    static uint8_t out[CHUNK_OUT_MAX];
    uint8_t page[PAGE_SIZE] = {0};

    chunk_clear(&writer);
    assert_true(chunk_add(&writer, 0x1000, page));
    assert_true(chunk_add(&writer, 0x2000, page));
    memset(page, 0x5a, sizeof(page));
    assert_true(chunk_add(&writer, 0x3000, page));
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        page[i] = (uint8_t)(i / 16);
    }
    assert_true(chunk_add(&writer, 0x100000, page));
    put_record(STREAM_PAGES, out, chunk_finish(&writer, compress, out));
}

static void make_stream(void)
{
    uint8_t payload[8192];

    stream_put_preamble(stream);
    length = STREAM_PREAMBLE;
    put_record(STREAM_VM, payload, stream_put_vm(payload, &example));
    for (uint32_t i = 0; i < ARRAY_SIZE(texts); i++) {
        put_record(STREAM_TEXT, payload, stream_put_text(payload, i, texts[i]));
    }
    bytes_put(payload, 8, 1);
    bytes_put(payload + 8, 8, 4);
    put_record(STREAM_ROUND, payload, 16);
    put_pages(false);
    put_pages(true);
    bytes_put(payload, 4, 1);
    bytes_put(payload + 4, 4, 1);
    memset(payload + STREAM_DEVICE_FIXED, 0xd1, 100);
    put_record(STREAM_DEVICE, payload, STREAM_DEVICE_FIXED + 100);
    bytes_put(payload, 8, 8);
    put_record(STREAM_END, payload, 8);
    put_record(STREAM_COMMIT, example.id, STREAM_ID);
}

/* ---- Reading ---- */

static uint32_t at;

/* The next record; false: WHY. */
static bool next(struct stream_record *record, char *why)
{
    if (length - at < STREAM_HEADER || !stream_get_header(stream + at, record, why) ||
        length - at - STREAM_HEADER < record->length) {
        return false;
    }
    record->payload = stream + at + STREAM_HEADER;
    at += STREAM_HEADER + record->length;
    return stream_check_payload(record, why);
}

static void expect(enum stream_type type, struct stream_record *record)
{
    char why[AGENT_TEXT_MAX] = "";

    assert_true(next(record, why));
    assert_string_equal(why, "");
    assert_int_equal(record->type, type);
}

static void check_vm(void)
{
    char why[AGENT_TEXT_MAX], text[STREAM_TEXT_MAX];
    struct stream_record record;
    struct stream_vm vm;
    uint32_t device;

    expect(STREAM_VM, &record);
    assert_true(stream_get_vm(&record, &vm, why));
    assert_memory_equal(&vm, &example, sizeof(vm));
    for (uint32_t i = 0; i < ARRAY_SIZE(texts); i++) {
        expect(STREAM_TEXT, &record);
        assert_true(stream_get_text(&record, &device, text, why));
        assert_int_equal(device, i);
        assert_string_equal(text, texts[i]);
    }
}

static void check_pages(void)
{
    static const struct chunk_entry wanted[] = {
        {CHUNK_ZERO,    2, 0x1000,   NULL},
        {CHUNK_PATTERN, 1, 0x3000,   NULL},
        {CHUNK_DATA,    1, 0x100000, NULL},
    };
    static struct chunk_reader reader;
    struct stream_record record;
    struct chunk_entry entry;
    char why[AGENT_TEXT_MAX] = "";

    expect(STREAM_PAGES, &record);
    assert_true(chunk_open(&reader, record.payload, record.length, why));
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_true(chunk_next(&reader, &entry, why));
        assert_int_equal(entry.kind, wanted[i].kind);
        assert_int_equal(entry.pages, wanted[i].pages);
        assert_int_equal(entry.address, wanted[i].address);
    }
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        assert_int_equal(entry.data[i], (uint8_t)(i / 16));
    }
    assert_false(chunk_next(&reader, &entry, why));
    assert_string_equal(why, "");
}

/* All that make_stream() makes. */
static void check_stream(void)
{
    struct stream_record record;
    char why[AGENT_TEXT_MAX];

    assert_true(stream_check_preamble(stream, why));
    at = STREAM_PREAMBLE;
    check_vm();
    expect(STREAM_ROUND, &record);
    assert_true(record.optional);
    check_pages();
    check_pages();
    expect(STREAM_DEVICE, &record);
    assert_int_equal(record.length, STREAM_DEVICE_FIXED + 100);
    assert_int_equal(record.payload[STREAM_DEVICE_FIXED + 99], 0xd1);
    expect(STREAM_END, &record);
    expect(STREAM_COMMIT, &record);
    assert_memory_equal(record.payload, example.id, STREAM_ID);
    assert_int_equal(at, length);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    make_stream();
    check_stream();
}

static void golden_stream_is_read(void **state)
{
    FILE *file = fopen(golden_path, "rb");

    (void)state;
    assert_non_null(file);
    length = (uint32_t)fread(stream, 1, sizeof(stream), file);
    (void)fclose(file);
    check_stream();
}

/* Every bit of it turned: each is noticed, where it is. */
static void damage_is_noticed(void **state)
{
    struct stream_record record;
    char why[AGENT_TEXT_MAX];
    uint32_t end;

    (void)state;
    make_stream();
    for (uint32_t bit = 0; bit < STREAM_PREAMBLE * 8; bit++) {
        stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(stream_check_preamble(stream, why));
        stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (uint32_t from = STREAM_PREAMBLE; from < length; from = end) {
        at = from;
        assert_true(next(&record, why));
        end = at;
        for (uint32_t bit = from * 8; bit < end * 8; bit++) {
            stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
            at = from;
            assert_false(next(&record, why));
            stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

/* ---- Versions ---- */

static bool preamble_fits(uint32_t version, uint32_t needs, char *why)
{
    uint8_t preamble[STREAM_PREAMBLE];

    stream_put_preamble(preamble);
    bytes_put(preamble + 8, 2, version);
    bytes_put(preamble + 10, 2, needs);
    bytes_put(preamble + 12, 4, stream_checksum(preamble, 12));
    return stream_check_preamble(preamble, why);
}

static void newer_streams(void **state)
{
    struct stream_record record;
    char why[AGENT_TEXT_MAX];
    uint8_t header[STREAM_HEADER];

    (void)state;
    assert_true(preamble_fits(7, 1, why));
    assert_false(preamble_fits(7, 2, why));
    assert_string_equal(why, "the stream needs version 2, and this is 1");

    /* A type that nobody knows yet. */
    stream_put_header(header, (enum stream_type)99, header, 0);
    assert_false(stream_get_header(header, &record, why));
    assert_string_equal(why, "a record of type 99, which is mandatory, is not known here");
    bytes_put(header + 2, 2, STREAM_OPTIONAL);
    bytes_put(header + 12, 4, stream_checksum(header, 12));
    assert_true(stream_get_header(header, &record, why));
    assert_false(stream_type_is_known(record.type));
    assert_string_equal(stream_type_name(record.type), "unknown");
}

/* ---- Payloads that make no sense ---- */

static bool vm_is_read(uint8_t *payload, uint32_t size)
{
    struct stream_record record = {.type = STREAM_VM, .length = size, .payload = payload};
    struct stream_vm vm;
    char why[AGENT_TEXT_MAX];

    bool read = stream_get_vm(&record, &vm, why);

    assert_null(strchr(vm.name, ' ')); /* it is shown, read or not */
    return read;
}

static void wrong_vms(void **state)
{
    uint8_t payload[1024];
    uint32_t size = stream_put_vm(payload, &example);
    struct stream_vm vm = example;

    (void)state;
    assert_true(vm_is_read(payload, size));
    assert_false(vm_is_read(payload, size - 1));
    assert_false(vm_is_read(payload, size + 1));
    for (unsigned field = 0; field < 4; field++) {
        stream_put_vm(payload, &example);
        bytes_put(payload + (size_t)4 * field, 4, 0xfffffff0U);
        assert_false(vm_is_read(payload, size));
    }
    vm.run[1].address = 0x9f000; /* they overlap */
    assert_false(vm_is_read(payload, stream_put_vm(payload, &vm)));
    vm.run[1] = (struct stream_run){0x100000, 0xfff};
    assert_false(vm_is_read(payload, stream_put_vm(payload, &vm)));
    vm.run[1] = (struct stream_run){0xfffffffffffff000ULL, 0x2000};
    assert_false(vm_is_read(payload, stream_put_vm(payload, &vm)));
    vm = example;
    vm.runs = 0;
    assert_false(vm_is_read(payload, stream_put_vm(payload, &vm)));
    vm = example;
    memcpy(vm.name, "a b", 4); /* it would be two words */
    assert_false(vm_is_read(payload, stream_put_vm(payload, &vm)));
}

static void reasons_are_printable(void **state)
{
    static const uint8_t said[] = "no\n\x1b[2J\xff";
    const struct stream_record record = {
        .type = STREAM_REFUSE, .length = sizeof(said) - 1, .payload = said};
    char reason[AGENT_TEXT_MAX];

    (void)state;
    stream_get_reason(&record, reason);
    assert_string_equal(reason, "no??[2J?");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(golden_stream_is_read),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(newer_streams),
        cmocka_unit_test(wrong_vms),
        cmocka_unit_test(reasons_are_printable),
    };

    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        FILE *file = fopen(argv[2], "wb");

        make_stream();
        return file == NULL || fwrite(stream, 1, length, file) != length || fclose(file) != 0;
    }
    golden_path = argc == 2 ? argv[1] : "";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
