/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of anything. What the reader takes, the writer gives again: save, load and save are the
 * same bytes. The checksums are made right first, or the fuzzer would see nothing behind them.
 */
#include "tests/unit/state/sample.h"
#include "vmm/state/state.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_MAX 8192U

struct owner {
    struct sample one;
    struct sample extra;
    struct sample each[2];
};

static const struct section extra_section = {
    .name = "extra",
    .version = 3,
    .optional = true,
    .size = sizeof(struct sample),
    .fields = SAMPLE_FIELDS_1,
    .field = sample_fields,
};

static const struct section_place places[] = {
    {&sample_section, offsetof(struct owner, one),   0,                     1},
    {&extra_section,  offsetof(struct owner, extra), 0,                     1},
    {&sample_section, offsetof(struct owner, each),  sizeof(struct sample), 0},
};

#define PLACES (sizeof(places) / sizeof(places[0]))
#define VCPUS  2U

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void ignore_line(void *context, const char *line)
{
    *(size_t *)context += strlen(line);
}

static void seal(uint8_t *bytes, size_t size)
{
    size_t at = 0;

    while (size - at >= STATE_RECORD_HEADER + STATE_CHECKSUM) {
        uint32_t length;

        memcpy(&length, bytes + at + 4, sizeof(length));
        if (length < STATE_RECORD_HEADER + STATE_CHECKSUM || length > size - at) {
            return;
        }
        uint32_t magic = STATE_MAGIC;
        memcpy(bytes + at, &magic, sizeof(magic));
        uint32_t sum = state_checksum(bytes + at, length - STATE_CHECKSUM);
        memcpy(bytes + at + length - STATE_CHECKSUM, &sum, sizeof(sum));
        at += length;
    }
}

/* What was loaded survives another journey unchanged. */
static void round_trip(const struct owner *owner)
{
    static uint8_t first[STREAM_MAX];
    static uint8_t second[STREAM_MAX];
    struct owner again;
    struct state_writer w;
    struct state_reader r;

    state_writer_init(&w, first, sizeof(first));
    state_put_all(&w, places, PLACES, VCPUS, owner);
    require(!state_overflowed(&w));
    size_t size = w.used;
    memset(&again, 0xa5, sizeof(again));
    state_reader_init(&r, first, size);
    require(state_get_all(&r, places, PLACES, VCPUS, &again) == STATUS_OK);
    require(state_end(&r) == STATUS_OK);
    require(memcmp(&again, owner, sizeof(again)) == 0);
    state_writer_init(&w, second, sizeof(second));
    state_put_all(&w, places, PLACES, VCPUS, &again);
    require(w.used == size && memcmp(first, second, size) == 0);
}

/* Every value that the rows allow goes through: SIZE bytes decide. */
static void from_values(const uint8_t *data, size_t size)
{
    struct owner owner;
    size_t at = 0;

    memset(&owner, 0, sizeof(owner));
    for (unsigned n = 0; n < 4; n++) {
        struct sample *s = n == 0 ? &owner.one : n == 1 ? &owner.extra : &owner.each[n - 2];

        for (uint32_t f = 0; f < sample_section.fields - (n == 1 ? 1 : 0); f++) {
            const struct field *row = &sample_fields[f];

            for (uint32_t i = 0; i < row->count; i++) {
                uint64_t value = 0;

                for (unsigned b = 0; b < row->width; b++) {
                    value |= (uint64_t)(at < size ? data[at++] : 0) << 8 * b;
                }
                value = row->max == UINT64_MAX ? value : value % (row->max + 1);
                memcpy((uint8_t *)s + row->offset + (size_t)row->stride * i, &value, row->width);
            }
        }
        s->yes = s->yes && s->small != 0;
    }
    round_trip(&owner);
}

static void from_stream(const uint8_t *data, size_t size, bool sealed)
{
    static uint8_t stream[STREAM_MAX];
    struct owner owner;
    struct state_reader r;
    size_t length = 0;

    size = size < sizeof(stream) ? size : sizeof(stream);
    memcpy(stream, data, size);
    if (sealed) {
        seal(stream, size);
    }
    state_reader_init(&r, stream, size);
    memset(&owner, 0xa5, sizeof(owner));
    enum status status = state_get_all(&r, places, PLACES, VCPUS, &owner);
    if (status == STATUS_OK) {
        require(owner.one.small <= SAMPLE_SMALL_MAX && owner.each[1].item[3].flag <= 3);
        state_print(&sample_section, &owner.one, ignore_line, &length);
        round_trip(&owner);
        status = state_end(&r);
    }
    require(status == STATUS_OK || (status == STATUS_INVALID && r.problem[0] != '\0'));
    require(r.next <= size && strnlen(r.problem, sizeof(r.problem)) < sizeof(r.problem));
}

/* One good stream to begin from: a fuzzer finds names and lengths hard. */
static void from_changes(const uint8_t *data, size_t size)
{
    static uint8_t stream[STREAM_MAX];
    struct owner owner;
    struct state_writer w;

    memset(&owner, 0, sizeof(owner));
    state_writer_init(&w, stream, sizeof(stream));
    state_put_all(&w, places, PLACES, VCPUS, &owner);
    while (size >= 3) {
        stream[((size_t)data[0] << 8 | data[1]) % w.used] ^= data[2];
        data += 3;
        size -= 3;
    }
    from_stream(stream, w.used, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    switch (data[0] & 3U) {
    case 0:
        from_values(data + 1, size - 1);
        break;
    case 1:
        from_changes(data + 1, size - 1);
        break;
    default:
        from_stream(data + 1, size - 1, (data[0] & 1U) != 0);
        break;
    }
    return 0;
}
