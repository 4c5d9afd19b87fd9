/* SPDX-License-Identifier: BSD-2-Clause */
/* The session: rings, and the frames in them. */
#include "vmm/base/little_endian.h"
#include "vmm/portal/portal_internal.h"

#include <string.h>

#define FRAME_HEADER 8U /* length u32, channel u16, 0 u16 */

/* What one step may put into the ring: an answer to a message, or to a line. */
#define STEP_MAX (FRAME_HEADER + PORTAL_DATA + VFIO_USER_ENVELOPE)

_Static_assert(STEP_MAX > FRAME_HEADER + PORTAL_LINE_MAX && STEP_MAX <= PORTAL_RING, "");

void portal_init(struct portal *portal, uint8_t *ring)
{
    portal->ring = ring;
    for (unsigned i = 0; i < PORTAL_CHANNELS; i++) {
        portal->device[i].portal = portal;
    }
}

void portal_fail(struct portal *portal)
{
    portal->ended = true;
}

/* ---- From us ---- */

bool portal_has_room(const struct portal *portal)
{
    return PORTAL_RING - (portal->come - portal->read) >= STEP_MAX;
}

static void put(struct portal *portal, const uint8_t *bytes, uint32_t size)
{
    uint8_t *ring = portal->ring + PORTAL_RING;
    uint32_t at = portal->come % PORTAL_RING;
    uint32_t first = size < PORTAL_RING - at ? size : PORTAL_RING - at;

    memcpy(ring + at, bytes, first);
    memcpy(ring, bytes + first, size - first);
    portal->come += size;
}

void portal_send(struct portal *portal, unsigned channel, const uint8_t *bytes, uint32_t size)
{
    uint8_t header[FRAME_HEADER] = {0};

    bytes_put(header, 4, size);
    bytes_put(header + 4, 2, channel);
    put(portal, header, sizeof(header));
    put(portal, bytes, size);
}

/* ---- To us ---- */

/* SIZE bytes, which are there, are copied, before anybody looks at them. */
static void take(struct portal *portal, uint8_t *bytes, uint32_t size)
{
    uint32_t at = portal->taken % PORTAL_RING;
    uint32_t first = size < PORTAL_RING - at ? size : PORTAL_RING - at;

    memcpy(bytes, portal->ring + at, first);
    memcpy(bytes + first, portal->ring, size - first);
    portal->taken += size;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* False: it is not there yet. */
static bool take_header(struct portal *portal)
{
    uint8_t header[FRAME_HEADER];
    uint32_t length, channel;

    if (portal->sent - portal->taken < FRAME_HEADER) {
        return false;
    }
    take(portal, header, sizeof(header));
    length = (uint32_t)bytes_get(header, 4);
    channel = (uint32_t)bytes_get(header + 4, 4); /* with what must be 0 */
    if (length == 0 || length > (channel == 0 ? PORTAL_LINE_MAX : PORTAL_FRAME_MAX) ||
        channel >= PORTAL_CHANNELS || (channel != 0 && !portal->device[channel].open)) {
        portal_fail(portal);
        return false;
    }
    portal->left = length;
    portal->channel = (uint16_t)channel;
    portal->length = 0;
    return true;
}

static bool take_line(struct portal *portal)
{
    uint32_t size = least(portal->left, portal->sent - portal->taken);

    if (!portal->line_waits) {
        take(portal, (uint8_t *)portal->line + portal->length, size);
        portal->length += size;
        portal->left -= size;
        if (portal->left != 0) {
            return false;
        }
        portal->line[portal->length] = '\0';
    }
    portal->line_waits = !portal_control(portal);
    return !portal->line_waits;
}

static bool take_message(struct portal *portal)
{
    struct portal_channel *channel = &portal->device[portal->channel];
    uint32_t room, size;
    uint8_t *at;

    if (!channel->open) { /* it was closed in the middle of a frame */
        portal_fail(portal);
        return false;
    }
    at = vfio_user_space(&channel->server, &room);
    if (at == NULL) {
        portal_fail(portal);
        return false;
    }
    size = least(room, least(portal->left, portal->sent - portal->taken));
    if (size == 0) { /* nothing is there, or the message before is not answered yet */
        return false;
    }
    take(portal, at, size);
    portal->left -= size;
    vfio_user_received(&channel->server, size, NULL, 0);
    return true;
}

/* False: there is nothing to do now. */
static bool step(struct portal *portal)
{
    if (portal->ended || !portal_has_room(portal)) {
        return false;
    }
    if (portal->left == 0 && !portal->line_waits) {
        return take_header(portal);
    }
    return portal->channel == 0 ? take_line(portal) : take_message(portal);
}

/* Messages that were not done. */
static void look_again(struct portal *portal)
{
    for (unsigned i = 1; i < PORTAL_CHANNELS && portal_has_room(portal); i++) {
        if (portal->device[i].open) {
            (void)vfio_user_again(&portal->device[i].server);
        }
    }
}

/* ---- The session ---- */

static void begin(struct portal *portal, uint32_t session)
{
    portal->session = session;
    portal->sent = portal->taken = portal->come = portal->read = 0;
    portal->ended = portal->closing = portal->line_waits = false;
    portal->left = portal->length = 0;
    portal->wanted = 0;
    __atomic_store_n(&portal->greeted, false, __ATOMIC_RELEASE);
    portal_forget_events(portal);
}

bool portal_end(struct portal *portal)
{
    if (!portal_close_move(portal)) {
        return false;
    }
    begin(portal, 0);
    return true;
}

/* False: the session has ended, or is still being ended. */
static bool look(struct portal *portal)
{
    struct portal_look now;

    portal_edge_look(&now);
    if (now.session != portal->session) {
        if (!portal_close_move(portal)) {
            return false;
        }
        begin(portal, now.session);
        portal->ended = now.ended;
    }
    portal->sent = now.sent;
    portal->read = now.read;
    if (portal->sent - portal->taken > PORTAL_RING || portal->come - portal->read > PORTAL_RING) {
        portal_fail(portal);
    }
    return !portal->ended;
}

bool portal_run(struct portal *portal)
{
    bool more = false;

    if (look(portal)) {
        look_again(portal);
        portal_tell_events(portal);
        while (!more && step(portal)) {
            more = portal_edge_must_pause();
        }
    }
    if (portal->ended) { /* its VMs do not wait until it has seen that */
        (void)portal_close_move(portal);
    }
    portal_edge_tell(portal->session, portal->taken, portal->come, portal->ended);
    return more;
}
