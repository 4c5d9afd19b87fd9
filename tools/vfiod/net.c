/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network (virtio 1.3, 5.1) behind a tap, or behind a stream socket on which each frame has its
 * length before it, 4 bytes, big-endian: what QEMU's '-netdev stream' speaks.
 */
#include "tools/vfiod/device.h"
#include "tools/vfiod/dma.h"
#include "tools/vfiod/sim.h"

#include "drivers/virtio/device.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURN        64U /* frames */
#define LENGTH_SIZE 4U
#define HEADER      10U /* of virtio, before each frame; all zero */
#define RECEIVE     0U  /* the queues */
#define TRANSMIT    1U

enum { F_MAC = 1U << 5, F_STATUS = 1U << 16 };
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6 };

/* ---- Opening ---- */

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool net_open(struct sim *sim)
{
    const struct back_end_options *options = &sim->options.back_end;
    struct back_end *net = &sim->back_end;
    const char *name = options->tap[0] != '\0' ? options->tap : options->socket;

    net->framed = options->tap[0] == '\0';
    net->fd = options->fd >= 0 ? options->fd
              : net->framed    ? open_socket(options->socket)
                               : open_tap(options->tap);
    net->in = calloc(1, sizeof(*net->in));
    net->out = calloc(1, sizeof(*net->out));
    if (net->fd < 0 || net->in == NULL || net->out == NULL ||
        fcntl(net->fd, F_SETFL, O_NONBLOCK) != 0) {
        vfiod_say("network %s: %s", name, strerror(errno));
        return false;
    }
    net->link = true;
    sim->queues = 2;
    sim->features = F_MAC | F_STATUS;
    sim->config_size = legacy_type_find(VIRTIO_TYPE_NET)->config_length;
    memcpy(&sim->config[CONFIG_MAC], options->mac, NET_MAC_SIZE);
    bytes_put(&sim->config[CONFIG_STATUS], 2, 1);
    return true;
}

void back_end_close(struct sim *sim)
{
    struct back_end *end = &sim->back_end;

    if (end->fd >= 0) {
        close(end->fd);
    }
    free(end->in);
    free(end->out);
    *end = (struct back_end){.fd = -1};
}

/* ---- The stream ---- */

/* The other end has gone: the driver is told that there is no link, and nothing comes any more. */
static void lose_link(struct sim *sim)
{
    sim->back_end.link = false;
    bytes_put(&sim->config[CONFIG_STATUS], 2, 0);
    sim->config_news = true;
    vfiod_say("the network's other end has gone");
}

static uint32_t length_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_length(uint8_t *at, uint32_t length)
{
    for (unsigned i = 0; i < LENGTH_SIZE; i++) {
        at[i] = (uint8_t)(length >> (24 - 8 * i));
    }
}

/* A failure that is no end? */
static bool is_later(ssize_t done)
{
    return done < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS);
}

static void drop_consumed(struct net_stream *s)
{
    memmove(s->bytes, s->bytes + s->at, s->used - s->at);
    s->used -= s->at;
    s->at = 0;
}

/* Read what there is, as much as fits: of a tap one frame. */
static void fill(struct sim *sim)
{
    struct back_end *net = &sim->back_end;
    struct net_stream *in = net->in;
    uint32_t prefix = net->framed ? 0 : LENGTH_SIZE;

    drop_consumed(in);
    if (NET_BUFFER - in->used < prefix + (net->framed ? 1 : NET_FRAME_MAX)) {
        return;
    }
    ssize_t got = read(net->fd, in->bytes + in->used + prefix, NET_BUFFER - in->used - prefix);

    if (got > 0) {
        if (!net->framed) {
            put_length(in->bytes + in->used, (uint32_t)got);
        }
        in->used += prefix + (uint32_t)got;
    } else if (!is_later(got)) {
        lose_link(sim);
    }
}

/* The next whole frame. NULL: none yet. One that is longer than any can be ends the link. */
static const uint8_t *next_frame(struct sim *sim, uint32_t *length)
{
    struct net_stream *in = sim->back_end.in;
    uint32_t have = in->used - in->at;

    if (have < LENGTH_SIZE) {
        return NULL;
    }
    *length = length_at(in->bytes + in->at);
    if (*length > NET_FRAME_MAX) {
        in->at = in->used;
        lose_link(sim);
        return NULL;
    }
    return have - LENGTH_SIZE >= *length ? in->bytes + in->at + LENGTH_SIZE : NULL;
}

/* Send what waits. What a tap does not take is lost, as on any wire. */
static void drain(struct sim *sim)
{
    struct back_end *net = &sim->back_end;
    struct net_stream *out = net->out;

    while (out->at < out->used && net->link) {
        uint32_t prefix = net->framed ? 0 : LENGTH_SIZE;
        uint32_t size = net->framed ? out->used - out->at : length_at(out->bytes + out->at);
        ssize_t done = write(net->fd, out->bytes + out->at + prefix, size);

        if (is_later(done)) {
            break;
        }
        if (net->framed && done <= 0) {
            lose_link(sim);
            break;
        }
        out->at += net->framed ? (uint32_t)done : prefix + size;
    }
    drop_consumed(out);
}

/* ---- Queues ---- */

/* CHAIN: it is given, or lost, as it does not fit the buffer. */
static enum ring_outcome give_frame(struct sim *sim, const uint8_t *frame, uint32_t length)
{
    static const uint8_t header[HEADER];
    struct ring *ring = &sim->queue[RECEIVE].ring;
    struct ring_chain chain;
    enum ring_outcome outcome = ring_take(ring, &chain);

    if (outcome != RING_CHAIN) {
        return outcome;
    }
    const struct ring_segment *in = &chain.segment[chain.out];

    if (chain.in_bytes < HEADER + length) {
        ring_put_back(ring);
        return RING_CHAIN;
    }
    if (!dma_scatter(in, chain.in, 0, header, HEADER) ||
        !dma_scatter(in, chain.in, HEADER, frame, length)) {
        ring->broken = true;
        return RING_BROKEN;
    }
    ring_give(ring, chain.head, HEADER + length);
    return ring->broken ? RING_BROKEN : RING_CHAIN;
}

static enum ring_outcome receive(struct sim *sim)
{
    struct back_end *net = &sim->back_end;
    uint32_t length;

    for (unsigned i = 0; i < TURN; i++) {
        const uint8_t *frame = next_frame(sim, &length);

        net->starved = false;
        if (frame == NULL) {
            return RING_EMPTY;
        }
        enum ring_outcome outcome = give_frame(sim, frame, length);

        if (outcome != RING_CHAIN) {
            net->starved = true;
            return outcome;
        }
        net->in->at += LENGTH_SIZE + length;
    }
    return RING_CHAIN;
}

/* A frame of the driver's to behind those that wait, *SIZE bytes there: not yet one of them. */
static bool take_frame(struct sim *sim, const struct ring_chain *chain, uint32_t *size)
{
    struct net_stream *out = sim->back_end.out;
    uint64_t length = chain->out_bytes < HEADER ? 0 : chain->out_bytes - HEADER;
    uint8_t *at = out->bytes + out->used;

    *size = 0;
    if (length == 0 || length > NET_FRAME_MAX || !sim->back_end.link) {
        return true; /* nothing that could be sent */
    }
    if (!dma_gather(chain->segment, chain->out, HEADER, at + LENGTH_SIZE, (uint32_t)length)) {
        return false;
    }
    put_length(at, (uint32_t)length);
    *size = LENGTH_SIZE + (uint32_t)length;
    return true;
}

static bool has_room(struct sim *sim)
{
    const struct net_stream *out = sim->back_end.out;

    if (NET_BUFFER - out->used < LENGTH_SIZE + NET_FRAME_MAX) {
        drain(sim);
    }
    return NET_BUFFER - out->used >= LENGTH_SIZE + NET_FRAME_MAX;
}

static enum ring_outcome transmit(struct sim *sim)
{
    struct ring *ring = &sim->queue[TRANSMIT].ring;
    enum ring_outcome outcome = RING_CHAIN;
    struct ring_chain chain;
    uint32_t size;

    for (unsigned i = 0; i < TURN && outcome == RING_CHAIN; i++) {
        if (!has_room(sim)) {
            return RING_EMPTY; /* net_polled() goes on */
        }
        outcome = ring_take(ring, &chain);
        if (outcome == RING_CHAIN && !take_frame(sim, &chain, &size)) {
            ring->broken = true;
            outcome = RING_BROKEN;
        }
        if (outcome == RING_CHAIN) {
            ring_give(ring, chain.head, 0);
            sim->back_end.out->used += ring->broken ? 0 : size;
        }
    }
    drain(sim);
    return outcome;
}

enum ring_outcome net_serve(struct sim *sim, unsigned queue)
{
    return queue == RECEIVE ? receive(sim) : transmit(sim);
}

/* ---- The loop ---- */

short net_events(const struct sim *sim)
{
    const struct back_end *net = &sim->back_end;
    bool reads = sim->level == VF_STATE_RUNNING && sim->queue[RECEIVE].pfn != 0 && !net->starved;
    short events = 0;

    if (net->link && reads) {
        events |= POLLIN;
    }
    if (net->link && net->out->used > 0) {
        events |= POLLOUT;
    }
    return events;
}

void net_polled(struct sim *sim, short events)
{
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        fill(sim);
        sim_notify(sim, RECEIVE);
    }
    if ((events & POLLOUT) != 0) {
        drain(sim);
        sim_notify(sim, TRANSMIT);
    }
}
