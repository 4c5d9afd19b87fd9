/* SPDX-License-Identifier: BSD-2-Clause */
/* What is behind a simulated device: a disk in a file, or a network behind a socket or a tap. */
#ifndef PORTOLAN_TOOLS_VFIOD_BACK_END_H
#define PORTOLAN_TOOLS_VFIOD_BACK_END_H

#include "tools/vfiod/ring.h"

#include <poll.h>
#include <stddef.h>

#define BACK_END_CONFIG_MAX 60U
#define BACK_END_TEXT_MAX   108U /* a path of a socket */
#define BLOCK_SERIAL_SIZE   20U
#define BLOCK_F_READ_ONLY   (1U << 5)
#define NET_MAC_SIZE        6U
#define NET_FRAME_MAX       65535U
#define NET_BUFFER          (2 * (4 + NET_FRAME_MAX))

struct back_end_options {
    char file[4096]; /* block */
    bool read_only;
    char serial[BLOCK_SERIAL_SIZE + 1];
    char socket[BACK_END_TEXT_MAX]; /* net: one of these three */
    char tap[16];
    int fd; /* -1: none */
    uint8_t mac[NET_MAC_SIZE];
};

/* Frames on their way: each has its length before it, 4 bytes, big-endian. */
struct net_stream {
    uint32_t used, at;
    uint8_t bytes[NET_BUFFER];
};

struct back_end {
    int fd;
    uint64_t sectors; /* block */
    bool framed;      /* net: a stream of frames, not one a read */
    bool link;        /* net: somebody is at the other end */
    bool starved;     /* net: a frame waits for a buffer of the driver */
    struct net_stream *in, *out;
};

struct sim;

/* Open it for SIM, and fill in what the device offers: features, configuration, queues. False: a
 * message says why. */
bool block_open(struct sim *sim);
bool net_open(struct sim *sim);
void back_end_close(struct sim *sim);

/* Serve QUEUE, at most that many requests that a turn is for. CHAIN: there may be more; EMPTY: it
 * is to be notified of more, or net_polled() notifies. */
enum ring_outcome block_serve(struct sim *sim, unsigned queue);
enum ring_outcome net_serve(struct sim *sim, unsigned queue);

/* What 'fd' is to be polled for, and what came of it. */
short net_events(const struct sim *sim);
void net_polled(struct sim *sim, short events);

/* All that was written is with the file. */
bool block_flush(struct sim *sim);

#endif
