/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a split ring of the legacy layout (virtio 1.3, 2.7), in a client's memory,
 * which may hold anything and change at any time: what is read is copied once and then checked.
 * Nothing here loops longer than a ring has entries.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_RING_H
#define PORTOLAN_TOOLS_VFIOD_RING_H

#include "vmm/base/types.h"

#define RING_SIZE_MAX 256U
#define RING_SEGMENTS RING_SIZE_MAX /* of a chain; a longer one breaks the ring */

struct ring_segment {
    uint64_t at;
    uint32_t length;
};

/* A request: first what the device reads, then what it writes. */
struct ring_chain {
    uint16_t head;
    uint16_t out, in; /* segments of either */
    uint64_t out_bytes, in_bytes;
    struct ring_segment segment[RING_SEGMENTS];
};

struct ring {
    uint64_t at;   /* of its descriptors; 0: there is none */
    uint16_t size; /* a power of two, at most RING_SIZE_MAX */
    uint16_t avail, used;
    uint16_t told;  /* 'used' when it was last asked whether the driver wants an interrupt */
    bool event_idx; /* what the driver has accepted */
    bool broken;    /* it made no sense; until it is set up again nothing is done */
};

/* AWAY: it cannot be read now. A VMM that changes its guest's map takes memory away for a moment.
 */
enum ring_outcome { RING_EMPTY, RING_CHAIN, RING_AWAY, RING_BROKEN };

/* The ring of SIZE entries at AT, from index INDEX on. */
void ring_open(struct ring *ring, uint64_t at, uint16_t size, uint16_t index);

/* Where its used index stands in memory. False: it cannot be read. */
bool ring_used_index(const struct ring *ring, uint16_t *index);

/* Its used index is where only messages reach. */
bool ring_is_far(const struct ring *ring);

/* Take the next request. The driver is to notify of those that come after RING_EMPTY. */
enum ring_outcome ring_take(struct ring *ring, struct ring_chain *chain);

/* Put back the request that was taken last: the next one is it again. */
static inline void ring_put_back(struct ring *ring)
{
    ring->avail--;
}

/* Give back the request with HEAD, into which LENGTH bytes were written. */
void ring_give(struct ring *ring, uint16_t head, uint32_t length);

/* Does the driver want an interrupt for what was given back since the last call? */
bool ring_wants_interrupt(struct ring *ring);

#endif
