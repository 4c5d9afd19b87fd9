/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages in chunks: none is lost or another afterwards, and equal ones are short. */
#include "guest/agent/page_chunk.h"
#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 500U

static struct chunk_writer writer;
static struct chunk_reader reader;
static uint8_t out[CHUNK_OUT_MAX];
static uint8_t ram[PAGES][PAGE_SIZE], copy[PAGES][PAGE_SIZE];
static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525U + 1013904223U;
    return seed >> 8;
}

static void fill(uint8_t *page, unsigned kind)
{
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        page[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? i % 8 + 1 : next_random());
    }
    if (kind == 3) { /* zero but for its last byte */
        memset(page, 0, PAGE_SIZE - 1);
        page[PAGE_SIZE - 1] = 1;
    }
}

/* Take the chunk in 'out' into 'copy'. */
static void take(uint32_t size)
{
    char why[AGENT_TEXT_MAX] = "";
    struct chunk_entry entry;

    assert_true(size <= CHUNK_MAX);
    assert_true(chunk_open(&reader, out, size, why));
    while (chunk_next(&reader, &entry, why)) {
        for (uint32_t i = 0; i < entry.pages; i++) {
            uint64_t page = entry.address / PAGE_SIZE + i;

            assert_true(page < PAGES);
            for (unsigned at = 0; at < PAGE_SIZE; at++) {
                copy[page][at] = entry.kind == CHUNK_ZERO      ? 0
                                 : entry.kind == CHUNK_PATTERN ? entry.data[at % 8]
                                                               : entry.data[i * PAGE_SIZE + at];
            }
        }
    }
    assert_string_equal(why, "");
}

static void send_all(bool compress)
{
    memset(copy, 0xee, sizeof(copy));
    memset(&writer, 0, sizeof(writer));
    for (unsigned i = 0; i < PAGES; i++) {
        if (!chunk_add(&writer, i * PAGE_SIZE, ram[i])) {
            take(chunk_finish(&writer, compress, out));
            chunk_clear(&writer);
            assert_true(chunk_add(&writer, i * PAGE_SIZE, ram[i]));
        }
    }
    take(chunk_finish(&writer, compress, out));
    assert_memory_equal(copy, ram, sizeof(ram));
    assert_int_equal(writer.zero + writer.pattern + writer.data, PAGES);
}

static void pages_of_all_kinds(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 20; run++) {
        for (unsigned i = 0; i < PAGES; i++) {
            if (i == 0 || next_random() % 4 == 0) {
                fill(ram[i], next_random() % 4);
            } else {
                memcpy(ram[i], ram[i - 1], PAGE_SIZE);
            }
        }
        send_all(run % 2 == 0);
    }
}

static void equal_pages_are_short(void **state)
{
    uint8_t page[PAGE_SIZE] = {0};

    (void)state;
    memset(&writer, 0, sizeof(writer));
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(chunk_add(&writer, i * PAGE_SIZE, page));
    }
    assert_true(chunk_finish(&writer, false, out) < 100);
    chunk_clear(&writer);
    memset(page, 0xa5, sizeof(page));
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(chunk_add(&writer, i * PAGE_SIZE, page));
    }
    assert_true(chunk_finish(&writer, false, out) < 150);
}

static void damaged_chunks(void **state)
{
    char why[AGENT_TEXT_MAX] = "";
    struct chunk_entry entry;
    uint32_t size;

    (void)state;
    memset(&writer, 0, sizeof(writer));
    fill(ram[0], 1);
    memset(ram[0], 7, 100);
    assert_true(chunk_add(&writer, 0, ram[0]));
    size = chunk_finish(&writer, true, out);
    assert_int_equal(bytes_get(out, 4), 1);
    assert_false(chunk_open(&reader, out, size - 1, why));
    assert_string_equal(why, "pages of the stream cannot be unpacked");
    bytes_put(out + 4, 4, CHUNK_BODY_MAX + 1); /* more than there may be */
    assert_false(chunk_open(&reader, out, size, why));
    bytes_put(out, 4, 2); /* packed in a way that is not known */
    assert_false(chunk_open(&reader, out, size, why));

    size = chunk_finish(&writer, false, out);
    bytes_put(out + CHUNK_HEADER, 8, 0x1000 | 4 | CHUNK_DATA); /* two pages, and one is there */
    assert_true(chunk_open(&reader, out, size, why));
    assert_false(chunk_next(&reader, &entry, why));
    assert_string_equal(why, "pages of the stream make no sense");
    bytes_put(out + CHUNK_HEADER, 8, 3); /* a kind that is none */
    assert_true(chunk_open(&reader, out, size, why));
    assert_false(chunk_next(&reader, &entry, why));
    bytes_put(out + 4, 4, 7); /* less than an entry */
    assert_true(chunk_open(&reader, out, CHUNK_HEADER + 7, why));
    assert_false(chunk_next(&reader, &entry, why));
}

/* ---- Does it pay? ---- */

/* How many of 1000 chunks are compressed, each in NS from 256 KiB to AFTER bytes. */
static unsigned compressed(struct compress_judge *judge, uint64_t ns, uint32_t after,
                           uint64_t wire_ns)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 1000; i++) {
        if (compress_is_wanted(judge)) {
            compress_was_done(judge, ns, 256U << 10, after, wire_ns);
            count++;
        }
    }
    return count;
}

static void judge_compares_times(void **state)
{
    struct compress_judge never = {.how = COMPRESS_NEVER}, always = {.how = COMPRESS_ALWAYS};
    struct compress_judge fast = {0}, slow = {0}, dense = {0};

    (void)state;
    assert_int_equal(compressed(&never, 1, 1, 1000000), 0);
    assert_int_equal(compressed(&always, 1000000000, 256U << 10, 1), 1000);
    /* 100 MB/s, and half of it saved in 1 ms: it pays. 10 GB/s: it does not, and is tried seldom.
     */
    assert_int_equal(compressed(&slow, 1000000, 128U << 10, 10240), 1000);
    assert_in_range(compressed(&fast, 1000000, 128U << 10, 102), 8, 40);
    /* Nothing is saved. */
    assert_in_range(compressed(&dense, 1000000, 256U << 10, 10240), 8, 40);
    /* A network that becomes slow is noticed. */
    assert_true(compressed(&fast, 1000000, 128U << 10, 10240) > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_all_kinds),
        cmocka_unit_test(equal_pages_are_short),
        cmocka_unit_test(damaged_chunks),
        cmocka_unit_test(judge_compares_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
