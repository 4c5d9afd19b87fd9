/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/portal_client.h"

#include "guest/agent/agent.h"
#include "vmm/base/little_endian.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FRAME_HEADER 8U /* length u32, channel u16, 0 u16 */

struct portal portal;

/* ---- The ring to the VMM ---- */

static uint32_t ring_room(void)
{
    uint32_t taken = portal_bus_read(&portal.bus, PORTAL_REG_TAKEN), used = portal.sent - taken;

    if (used > PORTAL_RING) { /* the session was ended */
        portal.ended = true;
        return 0;
    }
    return PORTAL_RING - used;
}

static void ring_put(const uint8_t *bytes, uint32_t size)
{
    uint32_t at = portal.sent % PORTAL_RING;
    uint32_t first = size < PORTAL_RING - at ? size : PORTAL_RING - at;

    memcpy(portal.bus.ring + at, bytes, first);
    memcpy(portal.bus.ring, bytes + first, size - first);
    portal.sent += size;
}

static void put_frame(uint32_t channel, const uint8_t *bytes, uint32_t size)
{
    uint8_t header[FRAME_HEADER];

    bytes_put(header, 4, size);
    bytes_put(header + 4, 4, channel);
    ring_put(header, sizeof(header));
    ring_put(bytes, size);
    portal_bus_write(&portal.bus, PORTAL_REG_SENT, portal.sent);
}

uint32_t portal_room(void)
{
    uint32_t room = portal.ended ? 0 : ring_room();

    room = room > FRAME_HEADER ? room - FRAME_HEADER : 0;
    return room < PORTAL_FRAME_MAX ? room : PORTAL_FRAME_MAX;
}

void portal_send(uint32_t channel, const uint8_t *bytes, uint32_t size)
{
    if (size != 0 && !portal.ended) {
        put_frame(channel, bytes, size);
    }
}

/* ---- Requests ---- */

static void send_requests(void)
{
    for (uint32_t i = 0; i < portal.requests; i++) {
        struct portal_request *r = &portal.request[(portal.first + i) % PORTAL_REQUESTS_MAX];
        uint32_t size = (uint32_t)strlen(r->line);

        if (!r->sent) {
            if (portal_room() < size) {
                return;
            }
            portal_send(0, (const uint8_t *)r->line, size);
            r->sent = true;
        }
    }
}

bool portal_ask(enum portal_asker asker, uint32_t tag, const char *format, ...)
{
    struct portal_request *r;
    va_list args;
    int length;

    if (portal.requests == PORTAL_REQUESTS_MAX) {
        return false;
    }
    r = &portal.request[(portal.first + portal.requests) % PORTAL_REQUESTS_MAX];
    va_start(args, format);
    length = vsnprintf(r->line, sizeof(r->line), format, args);
    va_end(args);
    if (length <= 0 || (unsigned)length >= sizeof(r->line)) {
        return false;
    }
    r->asker = asker;
    r->tag = tag;
    r->sent = false;
    portal.requests++;
    send_requests();
    return true;
}

/* The first request has its answer. The asker may ask again at once. */
static void answer_first(const char *answer)
{
    const struct portal_request *r = &portal.request[portal.first];
    enum portal_asker asker = r->asker;
    uint32_t tag = r->tag;

    portal.first = (portal.first + 1) % PORTAL_REQUESTS_MAX;
    portal.requests--;
    portal_answered(asker, tag, answer);
}

/* ---- The ring from the VMM ---- */

static void take_line(void)
{
    portal.line[portal.frame_have] = '\0';
    if (strncmp(portal.line, "event ", 6) == 0) {
        portal_event(portal.line + 6);
    } else if (portal.requests != 0 && portal.request[portal.first].sent) {
        answer_first(portal.line);
    } else {
        agent_say("the portal answers what nobody asked: %s", portal.line);
        portal.ended = true;
    }
}

/* SIZE bytes at AT of the open frame; returns how many were taken. */
static uint32_t take_frame(const uint8_t *at, uint32_t size)
{
    uint32_t length = (uint32_t)bytes_get(portal.header, 4);
    uint32_t channel = (uint32_t)bytes_get(portal.header + 4, 4);
    uint32_t now = length - portal.frame_have < size ? length - portal.frame_have : size;

    if (channel == 0) {
        memcpy(portal.line + portal.frame_have, at, now);
    } else if (channel == portal.channel) {
        if (now > PORTAL_INPUT_MAX - portal.input_have) {
            portal.ended = true; /* more than was asked for */
            return now;
        }
        memcpy(portal.input + portal.input_have, at, now);
        portal.input_have += now;
    } /* else: of a message that nobody waits for any more */
    portal.frame_have += now;
    if (portal.frame_have == length) {
        portal.header_have = 0;
        if (channel == 0) {
            take_line();
        }
        portal.frame_have = 0;
    }
    return now;
}

static void check_header(void)
{
    uint32_t length = (uint32_t)bytes_get(portal.header, 4);
    uint32_t channel = (uint32_t)bytes_get(portal.header + 4, 4);

    if (length == 0 || length > (channel == 0 ? PORTAL_LINE_MAX : PORTAL_FRAME_MAX) ||
        channel >= PORTAL_CHANNELS) {
        agent_say("the portal sent a frame of %u bytes on channel %u", length, channel);
        portal.ended = true;
    }
}

static uint32_t take_bytes(const uint8_t *at, uint32_t size)
{
    uint32_t now = FRAME_HEADER - portal.header_have;

    if (portal.header_have == FRAME_HEADER) {
        return take_frame(at, size);
    }
    now = now < size ? now : size;
    memcpy(portal.header + portal.header_have, at, now);
    portal.header_have += now;
    if (portal.header_have == FRAME_HEADER) {
        check_header();
    }
    return now;
}

/* All that is in the ring. */
static void take_ring(void)
{
    uint32_t come = portal_bus_read(&portal.bus, PORTAL_REG_COME), left = come - portal.read;

    if (left > PORTAL_RING) {
        portal.ended = true;
        return;
    }
    if (left == 0) {
        return;
    }
    while (left != 0 && !portal.ended) {
        uint32_t at = portal.read % PORTAL_RING;
        uint32_t run = left < PORTAL_RING - at ? left : PORTAL_RING - at;
        uint32_t now = take_bytes(portal.bus.ring + PORTAL_RING + at, run);

        portal.read += now;
        left -= now;
    }
    if (!portal.ended) {
        portal_bus_write(&portal.bus, PORTAL_REG_READ, portal.read);
    }
}

void portal_listen(uint32_t channel)
{
    portal.channel = channel;
    portal.input_have = 0;
}

void portal_consume(uint32_t size)
{
    portal.input_have -= size;
    memmove(portal.input, portal.input + size, portal.input_have);
}

bool portal_is_ready(void)
{
    return portal.bus.interrupted || portal.ended || portal.bus.gone;
}

void portal_poll(void)
{
    portal_bus_take_interrupt(&portal.bus);
    uint32_t status = portal_bus_read(&portal.bus, PORTAL_REG_STATUS);

    portal_bus_write(&portal.bus, PORTAL_REG_STATUS, PORTAL_STATUS_NEWS);
    portal.ended |= (status & PORTAL_STATUS_ENDED) != 0 || portal.bus.gone ||
                    portal_bus_read(&portal.bus, PORTAL_REG_SESSION) != portal.session;
    if (!portal.ended) {
        take_ring();
    }
    if (!portal.ended) {
        send_requests();
    }
    portal_bus_enable_interrupt(&portal.bus);
}

/* ---- The session ---- */

void portal_begin_session(void)
{
    uint32_t waiting = portal.requests;

    for (uint32_t i = 0; i < waiting; i++) {
        portal.request[(portal.first + i) % PORTAL_REQUESTS_MAX].sent = true;
    }
    portal_bus_write(&portal.bus, PORTAL_REG_SESSION, 1);
    portal.session = portal_bus_read(&portal.bus, PORTAL_REG_SESSION);
    portal.sent = portal.read = 0;
    portal.header_have = portal.frame_have = portal.input_have = 0;
    portal.ended = portal.bus.gone;
    while (waiting-- != 0) {
        answer_first(PORTAL_SESSION_ENDED);
    }
    portal_bus_write(&portal.bus, PORTAL_REG_STATUS, PORTAL_STATUS_NEWS);
    portal_bus_write(&portal.bus, PORTAL_REG_ENABLE, 1);
    portal_bus_enable_interrupt(&portal.bus);
    send_requests();
}

bool portal_open(const char *where)
{
    if (!portal_bus_open(&portal.bus, where)) {
        return false;
    }
    portal_begin_session();
    return true;
}

void portal_close(void)
{
    portal_bus_write(&portal.bus, PORTAL_REG_ENABLE, 0);
    portal_bus_write(&portal.bus, PORTAL_REG_SESSION, 1); /* whatever was open is closed */
    portal_bus_close(&portal.bus);
}
