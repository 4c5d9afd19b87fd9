/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of VFs, of anything, and all that is read from them as a move does: the text, the legacy
 * function's section, the device's state of both kinds. What is taken lies within the record, in
 * order, and is the same after another journey; what is refused says why. Checksums and counts are
 * made right as a rule, or the fuzzer would see nothing behind them.
 */
#include "drivers/virtio/vf_state.h"
#include "tests/unit/fakes/log.h"
#include "vmm/base/little_endian.h"
#include "vmm/legacy/legacy.h"
#include "vmm/legacy/legacy_internal.h"
#include "vmm/migrate/compare.h"
#include "vmm/migrate/compatibility.h"
#include "vmm/migrate/record.h"
#include "vmm/state/state.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 16384U
#define DEVICE_MAX 256U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char good_text[] =
    "virtio-vf/1;abi=2021;cfg=8488ae75;cfglen=60;driver=10000044;features=79006e54;msix=2;"
    "qsz=2x256,1x64;type=2";

static uint8_t built[RECORD_MAX];
static uint32_t function_at; /* in it; 0: nowhere known */
static const uint8_t *input;
static size_t left;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static uint8_t next(void)
{
    if (left == 0) {
        return 0;
    }
    left--;
    return *input++;
}

/* ---- What is outside of the sources under test ---- */

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    static const struct vf_state_facts facts = {.name = "any"};

    require(kind < VF_STATE_KINDS);
    return &facts;
}

bool legacy_config_fits(const struct legacy_function *f, const uint8_t *config)
{
    return true; /* of legacy_load(), which a move comes to with a function only */
}

void legacy_config_derive(struct legacy_function *f) {}

void legacy_life_take_off(struct legacy_function *f) {}

/* ---- Building ---- */

/* The section at AT, as far as its length makes sense within ROOM. */
static void seal_function(uint8_t *section, uint32_t room)
{
    uint32_t length = room < STATE_RECORD_HEADER ? 0 : bytes_get32(section + 4);

    if (length >= STATE_RECORD_HEADER + STATE_CHECKSUM && length <= room) {
        bytes_put32(section, STATE_MAGIC);
        bytes_put32(section + length - STATE_CHECKSUM,
                    state_checksum(section, length - STATE_CHECKSUM));
    }
}

/* FUNCTION: where the section is; 0: it stays as it is. */
static void seal(uint8_t *at, uint32_t size, uint32_t function)
{
    if (size < RECORD_HEADER + STATE_CHECKSUM) {
        return;
    }
    if (function != 0 && function < size) {
        seal_function(at + function, size - function);
    }
    bytes_put32(at, RECORD_MAGIC);
    bytes_put32(at + 4, RECORD_VERSION);
    bytes_put32(at + 8, size);
    bytes_put32(at + size - STATE_CHECKSUM, state_checksum(at, size - STATE_CHECKSUM));
}

static void put_bytes(struct record_writer *w, unsigned type, const void *bytes, uint32_t size)
{
    uint32_t room;
    uint8_t *at = record_open(w, (enum record_type)type, &room);

    require(size <= room);
    memcpy(at, bytes, size);
    record_close(w, size);
}

/* A device's state of KIND with up to three parts; returns its size. */
static uint32_t good_device(uint32_t kind, uint8_t device[DEVICE_MAX])
{
    bool fielded = kind == VF_STATE_2021;
    uint32_t parts = 1 + next() % 3U, at = 0;

    memset(device, 0, DEVICE_MAX);
    if (fielded) {
        bytes_put32(device, parts);
        at = 4;
    }
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t length = next() % 32U;

        bytes_put32(device + at, fielded ? i : 0x100 + i);
        bytes_put32(device + at + (fielded ? 4 : 12), length);
        at += (fielded ? 8 : 16) + length;
    }
    return at;
}

/* A function with one ring, made once; returns its size. */
static uint32_t good_function(const uint8_t **bytes)
{
    static struct legacy_state function;
    static uint8_t section[RECORD_MAX / 2];
    static struct state_writer stream;

    if (stream.used == 0) {
        function.queue[0] = (struct legacy_queue){.size = 64, .pfn = 0x1234};
        state_writer_init(&stream, section, sizeof(section));
        state_put_section(&stream, &legacy_section, 0, &function);
        require(!state_overflowed(&stream));
    }
    *bytes = section;
    return (uint32_t)stream.used;
}

/* All four parts, sound; or, as a rule and much faster, without the bytes of the function. */
static uint32_t good_record(void)
{
    static uint8_t device[DEVICE_MAX];
    uint8_t how = next();
    bool has_function = (how & 14) == 14;
    uint32_t kind = how % 2 ? VF_STATE_2021 : VF_STATE_PARTS;
    struct record_writer w;
    const uint8_t *section;
    uint32_t length = good_function(&section);

    record_begin(&w, built, sizeof(built));
    put_bytes(&w, RECORD_COMPATIBILITY, good_text, sizeof(good_text) - 1);
    function_at = has_function ? w.used + RECORD_PART : 0;
    put_bytes(&w, RECORD_FUNCTION, section, has_function ? length : 0);
    put_bytes(&w, RECORD_KIND, &kind, sizeof(kind));
    put_bytes(&w, RECORD_DEVICE, device, good_device(kind, device));
    uint32_t size = record_end(&w);

    require(size != 0);
    return size;
}

/* A good record with some of its bytes changed. */
static uint32_t from_changes(void)
{
    uint32_t size = good_record(), cut = next();

    while (left >= 3) {
        uint32_t at = (uint32_t)next() << 8;

        at = (at | next()) % size;
        built[at] ^= next();
    }
    return cut < 8 ? size - 8 * cut : size;
}

/* Any parts in any order, with any flags, lengths and bytes, and the right number of them or not.
 */
static uint32_t from_parts(void)
{
    uint32_t used = RECORD_HEADER, parts = 0;

    while (left > 0 && used + RECORD_PART + 256 + 8 <= sizeof(built)) {
        uint8_t what = next(), length = next();
        uint32_t type = what % 8U < RECORD_TYPES ? parts + 1 : what % 8U; /* most in their order */

        bytes_put32(built + used, type | (uint32_t)(what >> 3 & 1) << 16);
        bytes_put32(built + used + 4, length + ((what & 0x80) != 0 ? (uint32_t)next() << 24 : 0));
        used += RECORD_PART;
        for (uint32_t i = 0; i < align_up(length, 8); i++) {
            built[used + i] = next();
        }
        used += (uint32_t)align_up(length, 8);
        parts++;
    }
    bytes_put32(built + 12, parts);
    return used + STATE_CHECKSUM;
}

static uint32_t from_bytes(void)
{
    uint32_t size = left < sizeof(built) ? (uint32_t)left : sizeof(built);

    memcpy(built, input, size);
    return size;
}

/* ---- Reading, as a move does ---- */

static void read_text(const uint8_t *text, uint32_t size)
{
    char here[COMPATIBILITY_MAX], why[COMPARE_WHY_MAX];

    if (size >= sizeof(here)) {
        return;
    }
    memcpy(here, text, size);
    here[size] = '\0';
    if (strcmp(here, good_text) == 0) {
        return; /* as it is in most records: nothing new, and each queue of both lists takes time */
    }
    for (unsigned way = 0; way < 3; way++) {
        const char *source = way == 1 ? good_text : here, *target = way == 2 ? good_text : here;

        memset(why, 0x5a, sizeof(why));
        enum status status = compare_texts(source, target, why);

        require(memchr(why, '\0', sizeof(why)) != NULL);
        require((status == STATUS_OK) == (why[0] == '\0'));
        require(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_CONFLICT);
    }
}

static void read_function(const uint8_t *section, uint32_t size)
{
    static struct legacy_state state, again;
    static uint8_t bytes[RECORD_MAX];
    struct state_reader r;
    struct state_writer w;

    memset(&state, 0xa5, sizeof(state));
    state_reader_init(&r, section, size);
    enum status status = state_find_section(&r, &legacy_section, 0, &state);

    if (status != STATUS_OK) {
        require(status == STATUS_INVALID && r.problem[0] != '\0');
        require(memchr(r.problem, '\0', sizeof(r.problem)) != NULL);
        return;
    }
    require(r.next <= size && legacy_section.check(&state));
    require(state.lost <= 1 && state.bus_master <= 1);
    state_writer_init(&w, bytes, sizeof(bytes));
    state_put_section(&w, &legacy_section, 0, &state);
    require(!state_overflowed(&w));
    state_reader_init(&r, bytes, w.used);
    require(state_find_section(&r, &legacy_section, 0, &again) == STATUS_OK);
    require(memcmp(&state, &again, sizeof(state)) == 0);
}

static void read_device(const uint8_t *state, uint32_t size)
{
    for (unsigned kind = 0; kind < VF_STATE_KINDS; kind++) {
        struct vf_state_part part;
        uint32_t at = 0, before = 0;

        while (vf_state_next(kind, state, size, &at, &part) == STATUS_OK) {
            require(at > before && at <= size && part.name);
            require(part.value >= state + before && part.value + part.length == state + at);
            before = at;
        }
        if (vf_state_check(kind, state, size) == STATUS_OK) {
            require(kind != VF_STATE_NONE && at == size);
        }
    }
}

/* Known parts lie in the record, in their order; written once more, they are the same. */
static void check_parts(const uint8_t *at, uint32_t size, const struct record *record)
{
    static uint8_t bytes[RECORD_MAX];
    struct record_writer w;
    struct record again;
    const uint8_t *end = at + RECORD_HEADER;

    record_begin(&w, bytes, sizeof(bytes));
    for (unsigned type = 1; type < RECORD_TYPES; type++) {
        require(record->part[type] >= end + RECORD_PART);
        end = record->part[type] + record->size[type];
        require(end <= at + size - STATE_CHECKSUM);
        put_bytes(&w, type, record->part[type], record->size[type]);
    }
    uint32_t length = record_end(&w);

    require(length != 0 && length <= size);
    require(record_parse(bytes, length, &again) == STATUS_OK);
    for (unsigned type = 1; type < RECORD_TYPES; type++) {
        require(again.size[type] == record->size[type] &&
                memcmp(again.part[type], record->part[type], record->size[type]) == 0);
    }
}

/* The types of all parts rise, and unknown ones may be left out. */
static void check_types(const uint8_t *at, uint32_t size)
{
    uint32_t last = 0;

    for (uint32_t offset = RECORD_HEADER; offset < size - STATE_CHECKSUM;) {
        uint32_t head = bytes_get32(at + offset), type = head & 0xffff;

        require(type > last);
        require(type < RECORD_TYPES || (head >> 16 & RECORD_OPTIONAL) != 0);
        last = type;
        offset += RECORD_PART + (uint32_t)align_up(bytes_get32(at + offset + 4), 8);
    }
}

static void read_record(const uint8_t *at, uint32_t size)
{
    struct record record;
    enum status status = record_parse(at, size, &record);

    if (status != STATUS_OK) {
        require(status == STATUS_INVALID && record.problem);
        return;
    }
    require(record.size[RECORD_KIND] == 4);
    check_types(at, size);
    check_parts(at, size, &record);
    read_text(record.part[RECORD_COMPATIBILITY], record.size[RECORD_COMPATIBILITY]);
    read_function(record.part[RECORD_FUNCTION], record.size[RECORD_FUNCTION]);
    read_device(record.part[RECORD_DEVICE], record.size[RECORD_DEVICE]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fake_log_clear();
    input = data;
    left = size;
    function_at = 0;
    uint8_t how = next();
    uint32_t length = how % 4 == 0 ? from_bytes() : how % 4 == 1 ? from_parts() : from_changes();

    if ((how & 0x30) != 0) {
        seal(built, length, (how & 0x40) != 0 ? function_at : 0);
    }
    uint8_t *copy = malloc(length > 0 ? length : 1); /* its end is watched */

    memcpy(copy, built, length);
    read_record(copy, length);
    free(copy);
    return 0;
}
