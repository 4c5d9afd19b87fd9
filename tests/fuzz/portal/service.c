/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile service VM. The input is a script: what it does with registers and rings, when orders
 * end and how, and what the operator wants meanwhile. The fake machine ends the program if the
 * portal asks what it must not; whatever happens, in the end somebody runs.
 */
#include "tests/unit/portal/fake_machine.h"

#include "vmm/base/little_endian.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct script {
    const uint8_t *at;
    size_t left;
};

static uint32_t sent;
static unsigned long operations;
static uint8_t scratch[PORTAL_FRAME_MAX];

static uint8_t next(struct script *s)
{
    if (s->left == 0) {
        return 0;
    }
    s->left--;
    return *s->at++;
}

static uint32_t next32(struct script *s)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        value = value << 8 | next(s);
    }
    return value;
}

/* ---- Rings ---- */

static void put(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fake.ring[sent++ % PORTAL_RING] = bytes[i];
    }
    (void)portal_function_write(&fake.function, PORTAL_SENT, 4, sent);
}

static void put_frame(uint32_t channel, const uint8_t *bytes, uint32_t count)
{
    uint8_t header[8];

    bytes_put(header, 4, count);
    bytes_put(header + 4, 4, channel);
    put(header, sizeof(header));
    put(bytes, count);
}

/* It reads all that has come, or says so. */
static void read_all(void)
{
    (void)portal_function_write(&fake.function, PORTAL_READ, 4,
                                portal_function_read(&fake.function, PORTAL_COME, 4));
}

static void put_raw(struct script *s)
{
    uint32_t count = next(s) % 64;

    for (uint32_t i = 0; i < count; i++) {
        scratch[i] = next(s);
    }
    put(scratch, count);
}

/* A line of words that make sense, mostly in an order that does. */
static void put_line(struct script *s)
{
    static const char *const words[] = {
        "hello", "vm",   "vf",       "open",    "close",
        "show",  "hide", "handover", "confirm", "progress",
        "pause", "stop", "incoming", "a",       "b",
        "p",     "0",    "1",        "2",       "3",
        "4096",  "8192", "0x80000",  "1048576", "18446744073709551615",
        "",      "x"};
    static const char *const lines[] = {
        "hello",         "incoming b",    "open 1 vm a",        "open 1 vm b", "open 2 vf a 0",
        "open 3 vf a 1", "open 2 vf b 0", "open 3 vf b 1 ff",   "close 1",     "close 2",
        "handover a",    "confirm a",     "show 1 0 8192 4096", "hide 0 8192", "vm 0"};
    uint8_t which = next(s);
    unsigned length = 0, count = next(s) % 6 + 1;

    if (which < 200) {
        const char *line = lines[which % ARRAY_SIZE(lines)];

        put_frame(0, (const uint8_t *)line, (uint32_t)strlen(line));
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *word = words[next(s) % ARRAY_SIZE(words)];

        if (i != 0) {
            scratch[length++] = ' ';
        }
        memcpy(scratch + length, word, strlen(word));
        length += (unsigned)strlen(word);
    }
    put_frame(0, scratch, length + (length == 0));
}

/* A message of vfio-user with a header that is whole. */
static void put_message(struct script *s)
{
    uint8_t channel = next(s) % 5, command = next(s) % 24;
    uint32_t count = next(s) % 80;

    memset(scratch, 0, 16);
    bytes_put(scratch + 2, 2, command);
    bytes_put(scratch + 4, 4, count + 16);
    for (uint32_t i = 0; i < count; i++) {
        scratch[16 + i] = next(s);
    }
    put_frame(channel, scratch, count + 16);
}

/* One that goes on with the move: version, state, log, data. */
static void put_good_message(struct script *s)
{
    static const char version[] = "\0\0\1\0{\"max_data_xfer_size\":65536}";
    uint8_t what = next(s), channel = what % 3 + 1;
    uint32_t count = 16, command = 16;

    memset(scratch, 0, 16 + 8 + FAKE_STREAM);
    switch (what / 3 % 6) {
    case 0:
        command = 1;
        count = sizeof(version);
        memcpy(scratch + 16, version, count);
        break;
    case 1:
    case 2:
        bytes_put(scratch + 16, 8, 16 | 0x20002ULL << 32);
        scratch[24] = next(s) % 8;
        break;
    case 3: /* the log begins, ends or reports */
        bytes_put(scratch + 16, 8, 0x4000 | (uint64_t)(what % 2 ? 0x20006 : 0x10008) << 32);
        count = what % 2 ? 24 : 32;
        bytes_put(scratch + (what % 2 ? 24 : 40), 8, 4096);
        bytes_put(scratch + 32, 8, what % 2 ? 0 : 0x40000);
        break;
    case 4:
        command = 17;
        count = 8;
        bytes_put(scratch + 16, 8, 0x4008 | (uint64_t)FAKE_RECORD << 32);
        break;
    default:
        command = 18;
        count = channel == 1 ? FAKE_STREAM : FAKE_RECORD;
        bytes_put(scratch + 16, 8, (count + 8) | (uint64_t)count << 32);
        count += 8;
        break;
    }
    bytes_put(scratch + 2, 2, command);
    bytes_put(scratch + 4, 4, count + 16);
    put_frame(channel, scratch, count + 16);
}

/* ---- All else ---- */

static void say_operations(void)
{
    (void)fprintf(stderr, "stat::operations: %lu\n", operations);
}

static void wish(uint8_t what)
{
    (void)portal_post(&fake_portal, (enum portal_wish)(what % 3), what / 3 % FAKE_VMS,
                      what % 2 ? "host:1" : "a b");
}

static void act(struct script *s, uint8_t what)
{
    if (operations++ == 0 && atexit(say_operations) != 0) {
        abort();
    }
    switch (what % 12) {
    case 0:
        put_raw(s);
        break;
    case 1:
    case 2:
        put_line(s);
        break;
    case 3:
        put_message(s);
        break;
    case 4:
    case 5:
    case 6:
        put_good_message(s);
        break;
    case 7:
        (void)portal_function_write(&fake.function, next(s) % 48, what & 64 ? 4 : next(s) % 5,
                                    next32(s));
        break;
    case 8:
        fake.ends_at_once = what / 12 % 2;
        (void)fake_orders_end();
        break;
    case 9:
        fake.fails = (enum status)(next(s) % STATUS_COUNT);
        fake.fails = fake.fails == STATUS_AGAIN ? STATUS_OK : fake.fails; /* none says so */
        break;
    case 10:
        wish(next(s));
        fake.vm[VM_P].resets += what / 12 % 2;
        break;
    default: /* a new session */
        (void)portal_function_write(&fake.function, PORTAL_SESSION, 4, 1);
        sent = 0;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct script s = {input, size};

    fake_start();
    sent = 0;
    fake.pause_after = next(&s) % 4;
    while (s.left != 0) {
        uint8_t what = next(&s);

        act(&s, what);
        if ((what & 128) != 0) {
            (void)portal_run(&fake_portal);
        }
        if (what < 230) {
            read_all();
        }
        if (what % 64 == 0) {
            fake_settle();
        }
    }
    fake.fails = STATUS_OK;
    for (unsigned i = 0; i < 20 && !portal_end(&fake_portal); i++) {
        (void)fake_orders_end();
    }
    fake_settle();
    return 0;
}
