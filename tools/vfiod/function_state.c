/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The function's state, out and in: device_state.h's machine, and a stream of two parts.
 *
 *   preface   magic u32, length u32, the compatibility text: it can be read while the source runs,
 *             and the target judges it when it has come
 *   record    vmm/migrate/record.h, when the source is stopped
 *
 * docs/vfio-user.md has the order in which a client does it.
 */
#include "tools/vfiod/device.h"
#include "tools/vfiod/function.h"

#include "vmm/base/little_endian.h"
#include "vmm/legacy/legacy_internal.h"
#include "vmm/migrate/compare.h"
#include "vmm/migrate/compatibility.h"
#include "vmm/migrate/record.h"
#include "vmm/state/state.h"

#include <string.h>

#define MAGIC      0x53465650U /* "PVFS" */
#define PREFACE    8U          /* before the text */
#define RECORD_MAX (64U << 10)
#define STREAM_MAX (PREFACE + COMPATIBILITY_MAX + RECORD_MAX)

/* One direction at a time. */
static struct {
    uint8_t bytes[STREAM_MAX];
    uint32_t used;   /* that there are */
    uint32_t at;     /* out: that were read */
    uint32_t judged; /* in: bytes of the preface, once the text in it has passed; 0: it has not */
    bool failed;     /* in: it is no stream, or of another VF; nothing more is taken */
    bool loaded;     /* the function has the state that came, and has still to use it */
} stream;

static uint8_t device_store[SIM_STATE_MAX];

void function_state_open(void)
{
    memset(&stream, 0, sizeof(stream));
    function.pf = (struct vf_state_pf){.kind = function.sim.options.abi};
    function.vf = (struct vf_state){.control = &function.pf, .level = function.sim.level};
    function.state = DEVICE_RUNNING;
    device_open(&function.device, &function.vf, &function.state, device_store,
                sizeof(device_store));
}

/* ---- Out ---- */

/* Without an effect on the VF: sizes of queues that a driver would find are known here. */
static enum status compose_text(bool free, char *text)
{
    struct legacy_description d;
    enum status status = legacy_describe(&function.legacy, NULL, &d);

    for (unsigned i = 0; i < function.sim.queues && free; i++) {
        d.queue_size[i] = function.sim.options.queue_size;
    }
    return status == STATUS_OK
               ? compatibility_text(&d, vf_state_facts(function.pf.kind)->name, text)
               : status;
}

static void compose_preface(void)
{
    char text[COMPATIBILITY_MAX];

    stream.used = stream.at = 0;
    if (compose_text(false, text) == STATUS_OK) {
        uint32_t length = (uint32_t)strlen(text);

        bytes_put(stream.bytes, 4, MAGIC);
        bytes_put(stream.bytes + 4, 4, length);
        memcpy(stream.bytes + PREFACE, text, length);
        stream.used = PREFACE + length;
    }
}

/* The function as the client sees it: BARs, decoding and table of its own in their places. */
static void save_function(struct legacy_state *state)
{
    *state = *legacy_save(&function.legacy);
    bytes_put(&state->config[CONFIG_BAR0], 4, function.shown.bar[0] | 1U);
    bytes_put(&state->config[CONFIG_BAR1], 4, function.shown.bar[1]);
    state->config[CONFIG_COMMAND] =
        (uint8_t)((state->config[CONFIG_COMMAND] & ~3U) | function.shown.command);
    for (unsigned i = 0; i < function.legacy.vectors; i++) {
        const uint8_t *entry = &function.table[16UL * i];

        state->table[i] = (struct legacy_msix_entry){.address = bytes_get(entry, 8) & ~3ULL,
                                                     .data = (uint32_t)bytes_get(entry + 8, 4),
                                                     .control = entry[12] & ENTRY_MASKED};
    }
}

static void put_part(struct record_writer *w, enum record_type type, const void *data,
                     uint32_t size)
{
    uint32_t room;
    uint8_t *at = record_open(w, type, &room);

    if (size <= room) {
        memcpy(at, data, size);
    }
    record_close(w, size);
}

static void put_function(struct record_writer *w)
{
    static struct legacy_state state;
    struct state_writer out;
    uint32_t room;
    uint8_t *at = record_open(w, RECORD_FUNCTION, &room);

    save_function(&state);
    state_writer_init(&out, at, room);
    state_put_section(&out, &legacy_section, 0, &state);
    record_close(w, (uint32_t)out.used);
}

static enum status put_device(struct record_writer *w)
{
    uint32_t room, used = 0, size = 1;
    uint8_t *at = record_open(w, RECORD_DEVICE, &room);
    enum status status = STATUS_OK;
    const uint8_t *data;

    while (status == STATUS_OK && size > 0 && device_pending(&function.device) > 0) {
        status = device_read(&function.device, &data, &size);
        if (status == STATUS_OK && size <= room - used) {
            memcpy(at + used, data, size);
            used += size;
        }
    }
    record_close(w, used);
    return status;
}

/* The record goes behind what there is of the preface. */
static enum status compose_record(void)
{
    uint32_t kind = function.pf.kind, size;
    char text[COMPATIBILITY_MAX];
    struct record_writer w;
    enum status status = compose_text(false, text);

    record_begin(&w, stream.bytes + stream.used, STREAM_MAX - stream.used);
    put_part(&w, RECORD_COMPATIBILITY, text, (uint32_t)strlen(text));
    put_function(&w);
    put_part(&w, RECORD_KIND, &kind, sizeof(kind));
    if (status == STATUS_OK) {
        status = put_device(&w);
    }
    size = record_end(&w);
    stream.used += size;
    return status == STATUS_OK && size == 0 ? STATUS_NOTE(STATUS_NO_MEMORY) : status;
}

uint64_t vdev_pending(void)
{
    return (function.state & DEVICE_SAVING) != 0 ? stream.used - stream.at : 0;
}

enum status vdev_save(uint8_t *data, uint32_t *size)
{
    uint64_t left = vdev_pending();

    if ((function.state & DEVICE_SAVING) == 0 || function.state == DEVICE_ERROR) {
        *size = 0;
        return STATUS_NOTE(STATUS_STATE);
    }
    *size = *size < left ? *size : (uint32_t)left;
    memcpy(data, stream.bytes + stream.at, *size);
    stream.at += *size;
    return STATUS_OK;
}

/* ---- In ---- */

static enum status refuse(enum status status, const char *why)
{
    stream.failed = true;
    vfiod_say("a state is refused: %s", why);
    return STATUS_NOTE(status);
}

/* TEXT of LENGTH bytes, without a NUL, is that of a VF whose place this one could take? */
static enum status judge(const uint8_t *text, uint32_t length)
{
    char source[COMPATIBILITY_MAX], mine[COMPATIBILITY_MAX], why[COMPARE_WHY_MAX] = "";
    enum status status = compose_text(true, mine);

    if (length >= sizeof(source)) {
        return refuse(STATUS_INVALID, "its description is too long");
    }
    memcpy(source, text, length);
    source[length] = '\0';
    if (status == STATUS_OK) {
        status = compare_texts(source, mine, why);
    }
    return status == STATUS_OK ? STATUS_OK
                               : refuse(status, why[0] != '\0' ? why : "it has no description");
}

/* As soon as the preface is there: before the source has stopped. */
static enum status judge_preface(void)
{
    uint64_t length;

    if (stream.judged != 0 || stream.used < PREFACE) {
        return STATUS_OK;
    }
    length = bytes_get(stream.bytes + 4, 4);
    if (bytes_get(stream.bytes, 4) != MAGIC || length >= COMPATIBILITY_MAX) {
        return refuse(STATUS_INVALID, "it does not begin as one");
    }
    if (stream.used < PREFACE + length) {
        return STATUS_OK;
    }
    stream.judged = (uint32_t)(PREFACE + length);
    return judge(stream.bytes + PREFACE, (uint32_t)length);
}

enum status vdev_load(const uint8_t *data, uint32_t size)
{
    if ((function.state & DEVICE_RESUMING) == 0 || function.state == DEVICE_ERROR) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (stream.failed) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (size > STREAM_MAX - stream.used) {
        return refuse(STATUS_RANGE, "it is too long");
    }
    memcpy(stream.bytes + stream.used, data, size);
    stream.used += size;
    return judge_preface();
}

/* What the record says goes to the places where the client's and vmm/legacy's halves are. */
static void split_function(struct legacy_state *state, struct shown_registers *shown,
                           uint8_t *table)
{
    shown->command = state->config[CONFIG_COMMAND] & 3U;
    shown->bar[0] = (uint32_t)bytes_get(&state->config[CONFIG_BAR0], 4) & ~1U;
    shown->bar[1] = (uint32_t)bytes_get(&state->config[CONFIG_BAR1], 4);
    state->config[CONFIG_COMMAND] |= COMMAND_IO | COMMAND_MEMORY;
    bytes_put(&state->config[CONFIG_BAR0], 4, LEGACY_IO_BASE | 1U);
    bytes_put(&state->config[CONFIG_BAR1], 4, LEGACY_MMIO_BASE);
    for (unsigned i = 0; i < function.legacy.vectors; i++) {
        bytes_put(table + 16UL * i, 8, state->table[i].address);
        bytes_put(table + 16UL * i + 8, 4, state->table[i].data);
        bytes_put(table + 16UL * i + 12, 4, state->table[i].control);
    }
}

static enum status load_function(const struct record *record)
{
    static struct legacy_state state;
    uint8_t table[sizeof(function.table)] = {0};
    struct shown_registers shown = {0};
    struct state_reader reader;

    state_reader_init(&reader, record->part[RECORD_FUNCTION], record->size[RECORD_FUNCTION]);
    enum status status = state_find_section(&reader, &legacy_section, 0, &state);

    if (status == STATUS_OK) {
        split_function(&state, &shown, table);
        status = legacy_load(&function.legacy, &state);
    }
    if (status != STATUS_OK) {
        return refuse(status, "its function makes no sense");
    }
    function.shown = shown;
    memcpy(function.table, table, sizeof(table));
    return STATUS_OK;
}

/* All that came, before RESUMING is left. What fails here leaves it RESUMING. */
static enum status take_stream(void)
{
    struct record record;
    uint32_t kind;

    if (stream.failed || stream.judged == 0 || stream.judged == stream.used) {
        return stream.used == 0 ? STATUS_OK : STATUS_NOTE(STATUS_INVALID);
    }
    enum status status =
        record_parse(stream.bytes + stream.judged, stream.used - stream.judged, &record);

    if (status != STATUS_OK) {
        return refuse(status, record.problem);
    }
    memcpy(&kind, record.part[RECORD_KIND], sizeof(kind));
    status = judge(record.part[RECORD_COMPATIBILITY], record.size[RECORD_COMPATIBILITY]);
    if (status == STATUS_OK && kind != function.pf.kind) {
        status = refuse(STATUS_CONFLICT, "its device's part is of another protocol");
    }
    if (status == STATUS_OK) {
        status = load_function(&record);
    }
    if (status == STATUS_OK) {
        status =
            device_write(&function.device, record.part[RECORD_DEVICE], record.size[RECORD_DEVICE]);
    }
    stream.loaded = status == STATUS_OK;
    return status;
}

/* ---- From state to state ---- */

uint32_t vdev_state(void)
{
    return function.state;
}

static bool runs(unsigned state)
{
    return (state & (DEVICE_RUNNING | DEVICE_NDMA)) == DEVICE_RUNNING;
}

static bool leaves(unsigned wanted, unsigned bit)
{
    return (function.state & bit) != 0 && (wanted & bit) == 0;
}

/* Registers work again: what came is written into the VF, and what waits is carried out. */
static void thaw(void)
{
    if (stream.loaded) {
        legacy_rebind(&function.legacy);
    }
    function_replay_config();
}

static void go_on(void)
{
    static const uint64_t none_idle[LEGACY_QUEUE_WORDS];

    if (stream.loaded) {
        legacy_poke(&function.legacy, true, none_idle);
        stream.loaded = false;
    }
    function_apply_vectors();
    legacy_resume(&function.set);
    vfiod_intx(function.line);
    function_deliver();
}

static enum status change(unsigned wanted)
{
    enum status status = device_begin(&function.device, wanted);

    if (status == STATUS_OK) {
        (void)device_done(&function.device, 0, &status); /* it is always done at once */
    }
    return status;
}

/* The stream of the state that was reached. */
static enum status prepare_stream(unsigned from, unsigned now)
{
    if ((now & DEVICE_RESUMING) != 0 && (from & DEVICE_RESUMING) == 0) {
        memset(&stream, 0, sizeof(stream));
    }
    if ((now & DEVICE_SAVING) == 0) {
        return STATUS_OK;
    }
    if ((from & DEVICE_SAVING) == 0) {
        compose_preface();
    }
    bool whole = (now & DEVICE_RUNNING) == 0,
         had = (from & DEVICE_SAVING) != 0 && (from & DEVICE_RUNNING) == 0;

    return whole && !had ? compose_record() : STATUS_OK;
}

enum status vdev_set_state(uint32_t wanted)
{
    unsigned from = function.state;
    bool frozen = function_is_frozen();

    if (!device_state_is_valid(wanted)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (from == DEVICE_ERROR) {
        return STATUS_NOTE(STATUS_STATE);
    }
    enum status status = leaves(wanted, DEVICE_RESUMING) ? take_stream() : STATUS_OK;

    if (status != STATUS_OK) {
        return status;
    }
    if (!runs(wanted)) {
        legacy_pause(&function.set);
    }
    status = change(wanted);
    if (status != STATUS_OK && stream.loaded) {
        function.state = DEVICE_ERROR; /* half of it is another's */
    }
    if (frozen && !function_is_frozen()) {
        thaw();
    }
    if (status == STATUS_OK) {
        status = prepare_stream(from, function.state);
        function.state = status == STATUS_OK ? function.state : DEVICE_ERROR;
    }
    if (runs(function.state) && function.legacy.irq.paused) {
        go_on();
    }
    return status;
}
