/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/vfu_client.h"

#include "guest/agent/agent_task.h"
#include "guest/agent/portal_client.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define HEADER      16U /* id u16, command u16, size u32 of all, flags u32, error u32 */
#define FLAG_TYPE   0xfU
#define FLAG_ANSWER 1U
#define FLAG_ERROR  0x20U
#define DATA_MIN    1024
#define VERSION_MAX 1024U /* of the answer to VERSION: as deep as its JSON may be, too */
#define ENVELOPE    64U   /* what a message has besides its data, at most */

enum command {
    VERSION = 1,
    REGION_INFO = 5,
    REGION_READ = 9,
    FEATURE = 16,
    MIG_READ = 17,
    MIG_WRITE = 18
};

#define FEATURE_GET   0x10000U
#define FEATURE_SET   0x20000U
#define DEVICE_STATE  2U
#define LOG_START     6U
#define LOG_STOP      7U
#define LOG_REPORT    8U
#define FEATURE_FIXED 8U  /* argsz u32, flags u32 */
#define LOG_FIXED     24U /* iova u64, length, page size */

#define REGION_FIXED  32U /* argsz u32, flags, index, cap_offset; size u64, offset */
#define CAP_SPARSE    1U
#define REGION_ANSWER 512U

static const char capabilities[] =
    "{\"capabilities\":{\"max_msg_fds\":0,\"max_data_xfer_size\":65536}}";

static uint16_t next_id;

/* All of SIZE bytes, as the ring takes them. */
static int send_all(uint32_t channel, const uint8_t *bytes, uint32_t size)
{
    while (size != 0) {
        uint32_t now = portal_room();

        if (portal.ended) {
            return ESHUTDOWN;
        }
        now = now < size ? now : size;
        portal_send(channel, bytes, now);
        bytes += now;
        size -= now;
        if (size != 0) {
            /* A message that was begun is ended, or the channel is good for nothing any more. */
            task_wait_always(-1, 0, 0);
        }
    }
    return 0;
}

/* Until SIZE bytes of the answer are there. */
static int wait_input(uint32_t size)
{
    while (portal.input_have < size) {
        if (portal.ended) {
            return ESHUTDOWN;
        }
        task_wait_always(-1, 0, 0);
    }
    return 0;
}

/*
 * Send COMMAND with a FIXED part and DATA, and wait for the answer, which is in portal.input behind
 * its header then: *GOT bytes. An answer is waited for even if the task is cancelled: all of them
 * are given in a bounded time, and what the device does meanwhile is done.
 */
static int ask(uint32_t channel, enum command command, const uint8_t *fixed, uint32_t fixed_size,
               const uint8_t *data, uint32_t size, uint32_t *got)
{
    uint8_t message[HEADER + ENVELOPE] = {0};
    uint16_t id = next_id++;
    uint32_t whole;

    if (task_is_cancelled()) {
        return ECANCELED;
    }
    bytes_put(message, 2, id);
    bytes_put(message + 2, 2, command);
    bytes_put(message + 4, 4, HEADER + fixed_size + size);
    memcpy(message + HEADER, fixed, fixed_size);
    portal_listen(channel);
    int error = send_all(channel, message, HEADER + fixed_size);

    error = error != 0 ? error : send_all(channel, data, size);
    error = error != 0 ? error : wait_input(HEADER);
    if (error != 0) {
        return error;
    }
    whole = bytes_get32(portal.input + 4);
    if (bytes_get(portal.input, 2) != id || bytes_get(portal.input + 2, 2) != command ||
        (bytes_get32(portal.input + 8) & FLAG_TYPE) != FLAG_ANSWER || whole < HEADER ||
        whole > PORTAL_INPUT_MAX) {
        return EPROTO;
    }
    error = wait_input(whole);
    *got = whole - HEADER;
    if (error == 0 && (bytes_get32(portal.input + 8) & FLAG_ERROR) != 0) {
        error = (int)(bytes_get32(portal.input + 12) & 0xfffU);
        error = error != 0 ? error : EPROTO;
    }
    return error;
}

static const uint8_t *answer(void)
{
    return portal.input + HEADER;
}

int vfu_begin(uint32_t channel, uint32_t *data)
{
    const uint8_t version[4] = {0}; /* 0.0 */
    uint32_t got;
    int error = ask(channel, VERSION, version, sizeof(version), (const uint8_t *)capabilities,
                    sizeof(capabilities), &got);

    if (error != 0) {
        return error;
    }
    if (got < 4 || got > VERSION_MAX || bytes_get(answer(), 2) != 0) {
        return EPROTO;
    }
    json_t *all = json_loadb((const char *)answer() + 4, got - 4, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *most =
        json_object_get(json_object_get(all, "capabilities"), "max_data_xfer_size");
    json_int_t value = json_is_integer(most) ? json_integer_value(most) : VFU_DATA_MAX;

    json_decref(all);
    *data = value > VFU_DATA_MAX ? VFU_DATA_MAX : (uint32_t)value;
    return value < DATA_MIN ? EPROTO : 0;
}

/* The sparse capability in the answer of GOT bytes. */
static int read_areas(uint32_t got, struct vfu_area *area, uint32_t *count)
{
    uint32_t room = *count, at = bytes_get32(answer() + 12);

    *count = 0;
    /* Each is behind the one before: so the chain ends. */
    for (uint32_t next; at != 0; at = next) {
        if (at < REGION_FIXED || at > got - 16) {
            return EPROTO;
        }
        const uint8_t *cap = answer() + at;

        if (bytes_get(cap, 2) == CAP_SPARSE) {
            *count = bytes_get32(cap + 8);
            if (*count > room || *count > (got - at - 16) / 16) {
                return EPROTO;
            }
            for (uint32_t i = 0; i < *count; i++) {
                area[i].offset = bytes_get(cap + 16 + (size_t)i * 16, 8);
                area[i].size = bytes_get(cap + 24 + (size_t)i * 16, 8);
            }
            return 0;
        }
        next = bytes_get32(cap + 4);
        if (next != 0 && next <= at) {
            return EPROTO;
        }
    }
    return 0;
}

int vfu_region(uint32_t channel, uint32_t region, uint64_t *size, struct vfu_area *area,
               uint32_t *count)
{
    uint8_t fixed[REGION_FIXED] = {0};
    uint32_t got;

    bytes_put(fixed, 4, REGION_ANSWER);
    bytes_put(fixed + 8, 4, region);
    int error = ask(channel, REGION_INFO, fixed, sizeof(fixed), NULL, 0, &got);

    if (error != 0) {
        return error;
    }
    if (got < REGION_FIXED) {
        return EPROTO;
    }
    *size = bytes_get(answer() + 16, 8);
    return read_areas(got, area, count);
}

int vfu_read(uint32_t channel, uint32_t region, uint64_t offset, uint8_t *data, uint32_t size)
{
    uint8_t fixed[16];
    uint32_t got;

    bytes_put(fixed, 8, offset);
    bytes_put(fixed + 8, 4, region);
    bytes_put(fixed + 12, 4, size);
    int error = ask(channel, REGION_READ, fixed, sizeof(fixed), NULL, 0, &got);

    if (error == 0 && (got != sizeof(fixed) + size || bytes_get32(answer() + 12) != size)) {
        error = EPROTO;
    }
    if (error == 0) {
        memcpy(data, answer() + sizeof(fixed), size);
    }
    return error;
}

/* DEVICE_FEATURE: SIZE bytes of DATA, at most 24, and an answer of at least WANTED. */
static int feature(uint32_t channel, uint32_t flags, const uint8_t *data, uint32_t size,
                   uint32_t wanted)
{
    uint8_t fixed[FEATURE_FIXED + LOG_FIXED];
    uint32_t got;

    bytes_put(fixed, 4, FEATURE_FIXED + (wanted > size ? wanted : size));
    bytes_put(fixed + 4, 4, flags);
    if (size != 0) {
        memcpy(fixed + FEATURE_FIXED, data, size);
    }
    int error = ask(channel, FEATURE, fixed, FEATURE_FIXED + size, NULL, 0, &got);

    return error == 0 && got < FEATURE_FIXED + wanted ? EPROTO : error;
}

int vfu_set_state(uint32_t channel, enum vfu_state state)
{
    uint8_t data[8];

    bytes_put(data, 4, state);
    bytes_put(data + 4, 4, 0);
    return feature(channel, FEATURE_SET | DEVICE_STATE, data, sizeof(data), 0);
}

int vfu_log_start(uint32_t channel)
{
    uint8_t data[16];

    bytes_put(data, 8, PAGE_SIZE);
    bytes_put(data + 8, 8, 0); /* no ranges: all */
    return feature(channel, FEATURE_SET | LOG_START, data, sizeof(data), 0);
}

int vfu_log_stop(uint32_t channel)
{
    return feature(channel, FEATURE_SET | LOG_STOP, NULL, 0, 0);
}

int vfu_log_report(uint32_t channel, uint64_t address, uint64_t size, uint8_t *bitmap)
{
    uint32_t bytes = (uint32_t)((size / PAGE_SIZE + 63) / 64 * 8);
    uint8_t data[LOG_FIXED];

    bytes_put(data, 8, address);
    bytes_put(data + 8, 8, size);
    bytes_put(data + 16, 8, PAGE_SIZE);
    int error = feature(channel, FEATURE_GET | LOG_REPORT, data, sizeof(data), LOG_FIXED + bytes);

    if (error == 0) {
        memcpy(bitmap, answer() + FEATURE_FIXED + LOG_FIXED, bytes);
    }
    return error;
}

int vfu_save(uint32_t channel, uint8_t *data, uint32_t *size)
{
    uint8_t fixed[8];
    uint32_t got;

    bytes_put(fixed, 4, 8 + *size);
    bytes_put(fixed + 4, 4, *size);
    int error = ask(channel, MIG_READ, fixed, sizeof(fixed), NULL, 0, &got);

    if (error != 0) {
        return error;
    }
    if (got < 8 || bytes_get32(answer() + 4) != got - 8 || got - 8 > *size) {
        return EPROTO;
    }
    *size = got - 8;
    memcpy(data, answer() + 8, *size);
    return 0;
}

int vfu_load(uint32_t channel, const uint8_t *data, uint32_t size)
{
    uint8_t fixed[8];
    uint32_t got;

    bytes_put(fixed, 4, 8 + size);
    bytes_put(fixed + 4, 4, size);
    return ask(channel, MIG_WRITE, fixed, sizeof(fixed), data, size, &got);
}
