/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/far.h"

#include "tools/vfiod/device.h"

#include <string.h>

#define ACCESSES 2048U /* of one request: its descriptors, and their data */
#define BYTES    (2U << 20)
#define SMALL    16U /* a descriptor, an index, a status: of these as many as there are accesses */

struct access {
    uint64_t at;
    uint32_t size;
    uint32_t place; /* in 'bytes', of what was read */
    bool write, failed;
};

static struct {
    struct ring *ring; /* that is served, or is to be again; or NULL */
    struct ring before;
    bool serves; /* between far_begin() and far_end() */
    bool waits;  /* an access of this time has no answer: nor has any that follows */
    bool asked;  /* a message is under way, ... */
    bool wanted; /* ... that of the last access in the log */

    struct access access[ACCESSES];
    uint32_t count, next, used;
    uint8_t bytes[BYTES + ACCESSES * SMALL];
} far;

static void clear_log(void)
{
    far.count = far.next = far.used = 0;
    far.wanted = false;
}

/* What the driver was told of stays told. */
static void restore(void)
{
    uint16_t told = far.ring->told;

    *far.ring = far.before;
    far.ring->told = told;
}

bool far_may_serve(const struct ring *ring)
{
    return !far.asked && (far.ring == NULL || far.ring == ring);
}

void far_begin(struct ring *ring)
{
    if (far.ring == NULL) {
        far.ring = ring;
        far.before = *ring;
        clear_log();
    }
    far.next = 0;
    far.serves = true;
    far.waits = false;
}

void far_commit(const struct ring *ring)
{
    if (far.serves && far.ring == ring && !ring->broken) {
        far.before = *ring;
        clear_log();
    }
}

bool far_end(void)
{
    bool waits = far.waits;

    far.serves = far.waits = false;
    if (waits) {
        restore();
        return false;
    }
    far.ring = NULL;
    return true;
}

void far_cancel(void)
{
    if (far.ring != NULL) {
        restore();
        far.ring = NULL;
    }
    clear_log();
}

bool far_is_idle(void)
{
    return !far.asked;
}

void far_forget(void)
{
    far.asked = false;
    far_cancel();
}

void far_answer(bool ok, const uint8_t *data)
{
    far.asked = false;
    if (far.wanted) {
        struct access *last = &far.access[far.count - 1];

        last->failed = !ok;
        if (ok && !last->write) {
            memcpy(far.bytes + last->place, data, last->size);
        }
    }
    far.wanted = false;
}

bool far_settle(void)
{
    far.waits |= far.serves && far.asked;
    return !far.waits;
}

/* Ask the client. NULL: it cannot be asked, or not now. */
static struct access *ask(uint64_t at, uint32_t size, const void *from)
{
    struct access *new = &far.access[far.next];
    bool write = from != NULL;

    if (far.asked) {
        far.waits = true;
        return NULL;
    }
    if (far.next == ACCESSES || (size > SMALL && far.used + size > BYTES)) {
        return NULL;
    }
    size = vfiod_dma(at, size, from);
    if (size == 0) {
        return NULL;
    }
    *new = (struct access){.at = at, .size = size, .place = far.used, .write = write};
    far.count = far.next + 1;
    far.used += size;
    far.asked = far.wanted = true;
    far.waits = !write;
    return write ? new : NULL;
}

/* The access of SIZE bytes, or of the first of them, at AT: of the log, or a new one. A guest may
 * have changed its mind since; then the rest of the log is of no use. */
static struct access *take(uint64_t at, uint32_t size, const void *from)
{
    struct access *access = &far.access[far.next];

    if (!far.serves || far.waits) {
        return NULL;
    }
    if (far.next < far.count &&
        (access->at != at || access->size > size || access->write != (from != NULL))) {
        far.count = far.next;
        far.used = access->place;
    }
    if (far.next == far.count) {
        access = ask(at, size, from);
    }
    if (access == NULL || access->failed) {
        return NULL;
    }
    far.next++;
    return access;
}

bool far_read(uint64_t at, void *to, uint32_t size)
{
    for (uint32_t done = 0; done < size;) {
        const struct access *access = take(at + done, size - done, NULL);

        if (access == NULL) {
            return false;
        }
        memcpy((uint8_t *)to + done, far.bytes + access->place, access->size);
        done += access->size;
    }
    return true;
}

bool far_write(uint64_t at, const void *from, uint32_t size)
{
    for (uint32_t done = 0; done < size;) {
        const struct access *access = take(at + done, size - done, (const uint8_t *)from + done);

        if (access == NULL) {
            return false;
        }
        done += access->size;
    }
    return true;
}
