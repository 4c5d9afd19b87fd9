/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings, frames, lines, and the messages of vfio-user. */
#include "guest/portal/portal_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RING     65536U
#define HEADER   16U
#define LINE     1001U
#define MESSAGE  (DATA_MAX + 512U)
#define CHANNELS 18U

uint64_t portal_registers, portal_rings, portal_window;

static uint32_t sent, taken;
static char line[LINE];
static uint8_t message[MESSAGE]; /* that has come, */
static uint32_t have;            /* and how much of it */
static uint16_t number;

static void fail(const char *what)
{
    printf("%s\n", what);
    CHECK(!"the portal answers");
    test_end();
}

void session_begin(void)
{
    mmio_write(portal_registers + SESSION, 1);
    sent = taken = have = 0;
}

void ring_put(const void *bytes, uint32_t size)
{
    const uint8_t *from = bytes;
    volatile uint8_t *ring = (volatile uint8_t *)portal_rings;

    while (size != 0) {
        while (sent - mmio_read(portal_registers + TAKEN) == RING) {
            cpu_relax();
        }
        ring[sent % RING] = *from++;
        sent++;
        size--;
        if (size == 0 || sent % 4096 == 0) {
            mmio_write(portal_registers + SENT, sent);
        }
    }
}

static void put_frame(unsigned channel, const void *bytes, uint32_t size)
{
    uint8_t header[8];

    memcpy(header, &size, 4);
    memcpy(header + 4, &channel, 4);
    ring_put(header, sizeof(header));
    ring_put(bytes, size);
}

static void get(void *to, uint32_t size)
{
    const volatile uint8_t *ring = (const volatile uint8_t *)portal_rings + RING;
    uint8_t *at = to;

    while (mmio_read(portal_registers + COME) - taken < size) {
        if (mmio_read(portal_registers + STATUS) & 2) {
            fail("the session has ended");
        }
        cpu_relax();
    }
    for (; size != 0; size--) {
        *at++ = ring[taken++ % RING];
    }
}

/* The next frame; to the line, or to the message. True: a line that is no event. */
static bool get_frame(void)
{
    uint32_t header[2];

    get(header, sizeof(header));
    if (header[1] != 0) {
        if (header[0] > MESSAGE - have) {
            fail("a message is too long");
        }
        get(message + have, header[0]);
        have += header[0];
    } else {
        if (header[0] >= LINE) {
            fail("a line is too long");
        }
        get(line, header[0]);
        line[header[0]] = '\0';
    }
    mmio_write(portal_registers + READ, taken);
    return header[1] == 0 && strncmp(line, "event ", 6) != 0;
}

const char *request(const char *format, ...)
{
    static char text[LINE];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_frame(0, text, (uint32_t)length);
    while (!get_frame()) {
    }
    return line;
}

void check_answer(int at, const char *wanted, const char *answer)
{
    if (strncmp(answer, wanted, strlen(wanted)) != 0) {
        printf("line %d: '%s', not '%s'\n", at, answer, wanted);
        CHECK(!"the answer is right");
    }
}

/* ---- vfio-user ---- */

/* Send COMMAND with SIZE bytes at PAYLOAD and MORE bytes at DATA; the answer's payload is *ANSWER.
 * Returns its error. */
static uint32_t command_with(unsigned channel, uint16_t command, const void *payload, uint32_t size,
                             const void *data, uint32_t more, const uint8_t **answer)
{
    uint32_t header[4] = {++number | (uint32_t)command << 16, HEADER + size + more, 0, 0};
    uint32_t got[4];

    have = 0;
    put_frame(channel, header, sizeof(header));
    if (size != 0) {
        put_frame(channel, payload, size);
    }
    if (more != 0) {
        put_frame(channel, data, more);
    }
    do {
        (void)get_frame();
        memcpy(got, message, sizeof(got));
    } while (have < HEADER || have < got[1]);
    CHECK_EQUAL(got[0], header[0]);
    *answer = message + HEADER;
    return (got[2] & 0x20) != 0 ? got[3] : 0;
}

static uint32_t command(unsigned channel, uint16_t number_of, const void *payload, uint32_t size,
                        const uint8_t **answer)
{
    return command_with(channel, number_of, payload, size, NULL, 0, answer);
}

uint32_t device_version(unsigned channel)
{
    static const char text[] = "\0\0\1\0{\"capabilities\":{\"max_data_xfer_size\":16384}}";
    const uint8_t *answer;

    return command(channel, 1, text, sizeof(text), &answer);
}

uint32_t device_set_state(unsigned channel, uint32_t state)
{
    const uint32_t payload[] = {16, 0x20002, state, 0xffffffff};
    const uint8_t *answer;

    return command(channel, 16, payload, sizeof(payload), &answer);
}

uint32_t device_track(unsigned channel)
{
    const uint32_t payload[] = {24, 0x20006, 4096, 0, 0, 0};
    const uint8_t *answer;

    return command(channel, 16, payload, sizeof(payload), &answer);
}

uint32_t device_read(unsigned channel, uint32_t region, uint64_t offset, void *to, uint32_t size)
{
    const uint32_t payload[] = {(uint32_t)offset, (uint32_t)(offset >> 32), region, size};
    const uint8_t *answer;
    uint32_t error = command(channel, 9, payload, sizeof(payload), &answer);

    if (error == 0) {
        memcpy(to, answer + sizeof(payload), size);
    }
    return error;
}

uint64_t device_region_size(unsigned channel, uint32_t region)
{
    const uint32_t payload[] = {256, 0, region, 0, 0, 0, 0, 0};
    const uint8_t *answer;
    uint64_t size = 0;

    CHECK_EQUAL(command(channel, 5, payload, sizeof(payload), &answer), 0);
    memcpy(&size, answer + 16, sizeof(size));
    return size;
}

uint32_t device_report(unsigned channel, uint64_t address, uint64_t size, uint8_t *bitmap)
{
    const uint32_t bytes = (uint32_t)(size / 4096 / 8);
    const uint32_t payload[] = {32 + bytes,
                                0x10008,
                                (uint32_t)address,
                                (uint32_t)(address >> 32),
                                (uint32_t)size,
                                (uint32_t)(size >> 32),
                                4096,
                                0};
    const uint8_t *answer;
    uint32_t error = command(channel, 16, payload, sizeof(payload), &answer);

    if (error == 0) {
        memcpy(bitmap, answer + sizeof(payload), bytes);
    }
    return error;
}

uint32_t device_save(unsigned channel, uint8_t *data, uint32_t *size)
{
    uint32_t room = *size, got;

    for (*size = 0;; *size += got) {
        const uint32_t payload[] = {8 + PIECE, PIECE};
        const uint8_t *answer;
        uint32_t error = command(channel, 17, payload, sizeof(payload), &answer);

        if (error != 0) {
            return error;
        }
        memcpy(&got, answer + 4, sizeof(got));
        if (got > room - *size) {
            fail("the state is too long");
        }
        memcpy(data + *size, answer + 8, got);
        if (got < PIECE) {
            *size += got;
            return 0;
        }
    }
}

uint32_t device_load(unsigned channel, const uint8_t *data, uint32_t size)
{
    for (uint32_t at = 0, now; at < size; at += now) {
        now = size - at < PIECE ? size - at : PIECE;
        const uint32_t payload[] = {8 + now, now};
        const uint8_t *answer;
        uint32_t error =
            command_with(channel, 18, payload, sizeof(payload), data + at, now, &answer);

        if (error != 0) {
            return error;
        }
    }
    return 0;
}
