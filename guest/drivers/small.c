/* SPDX-License-Identifier: BSD-2-Clause */
/* Entropy and the console. */
#include "guest/drivers/drivers.h"

#include <stdio.h>
#include <string.h>

#define RNG_BYTES  256U /* of each of two helpings */
#define RNG_BUFFER 64U

#define RECEIVE   0
#define TRANSMIT  1
#define RX_SLOTS  8U /* have place for a whole line */
#define RX_FEW    4U /* have not */
#define RX_BUFFER 32U
#define LINES     8U
#define LINE_MAX  200U

/* ---- entropy ---- */

static void fill(struct driver *driver, uint8_t *bytes)
{
    static uint8_t buffer[RNG_BUFFER];
    struct virtio_queue *queue = &driver->queue[0];
    uint32_t length;

    for (unsigned have = 0; have < RNG_BYTES; have += length) {
        unsigned want = RNG_BYTES - have < RNG_BUFFER ? RNG_BYTES - have : RNG_BUFFER;

        virtio_describe(queue->descriptor, 0, buffer, want, VIRTIO_WRITE);
        virtio_put(queue, 0);
        wait_kick(driver, 0);
        CHECK_EQUAL(wait_for(driver, 0, &length), 0);
        if (!CHECK(length > 0 && length <= want)) {
            test_end();
        }
        memcpy(bytes + have, buffer, length);
    }
}

static unsigned distinct(const uint8_t *bytes)
{
    bool found[256] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < RNG_BYTES; i++) {
        count += found[bytes[i]] ? 0 : 1;
        found[bytes[i]] = true;
    }
    return count;
}

/* Of 256 random bytes some 162 are distinct; fewer than 100 is less likely than any fault. */
void rng_exercise(struct driver *driver)
{
    static uint8_t first[RNG_BYTES], second[RNG_BYTES];

    fill(driver, first);
    fill(driver, second);
    CHECK(memcmp(first, second, RNG_BYTES) != 0);
    CHECK(distinct(first) > 100);
    CHECK(distinct(second) > 100);
}

/* ---- console ---- */

static uint8_t received[RX_SLOTS][RX_BUFFER];

static void post(struct driver *driver, unsigned slot)
{
    struct virtio_queue *queue = &driver->queue[RECEIVE];

    virtio_describe(queue->descriptor, (uint16_t)slot, received[slot], RX_BUFFER, VIRTIO_WRITE);
    virtio_put(queue, (uint16_t)slot);
}

/* A device that is exchanged has nothing under way that it has no place for: what is on the host's
 * side then is lost. */
void console_post(struct driver *driver)
{
    unsigned slots = devices_move ? RX_SLOTS : RX_FEW;

    for (unsigned slot = 0; slot < slots; slot++) {
        post(driver, slot);
    }
    wait_kick(driver, RECEIVE);
}

static void print(struct driver *driver, const char *line, size_t length)
{
    struct virtio_queue *queue = &driver->queue[TRANSMIT];
    uint32_t used;

    virtio_describe(queue->descriptor, 0, line, length, 0);
    virtio_put(queue, 0);
    wait_kick(driver, TRANSMIT);
    CHECK_EQUAL(wait_for(driver, TRANSMIT, &used), 0);
}

/* The next LENGTH bytes that come in. */
static void take(struct driver *driver, char *line, size_t length)
{
    uint32_t used;

    for (size_t have = 0; have < length; have += used) {
        unsigned slot = wait_for(driver, RECEIVE, &used);

        if (!CHECK(slot < RX_SLOTS) || !CHECK(used > 0 && used <= RX_BUFFER) ||
            !CHECK(used <= length - have)) {
            test_end();
        }
        memcpy(line + have, received[slot], used);
        post(driver, slot);
        wait_kick(driver, RECEIVE);
    }
}

/* The other end sends each line back with its letters in reverse order. */
void console_exercise(struct driver *driver)
{
    static char line[LINE_MAX + 1], back[LINE_MAX + 1];

    for (unsigned i = 0; i < LINES; i++) {
        size_t length = (size_t)snprintf(line, sizeof(line), "%s %u ", driver->style->name, i);
        unsigned wrong = 0;

        for (; length < 28 + i * 24UL; length++) {
            line[length] = (char)('!' + (length * 7 + i) % 90);
        }
        line[length] = '\n';
        print(driver, line, length + 1);
        take(driver, back, length + 1);
        for (size_t at = 0; at < length; at++) {
            wrong += back[at] != line[length - 1 - at] ? 1 : 0;
        }
        CHECK_EQUAL(wrong, 0);
        CHECK_EQUAL(back[length], '\n');
    }
}
