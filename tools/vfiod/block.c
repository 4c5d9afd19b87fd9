/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk in a file or a block device (virtio 1.3, 5.2). A request is done when it is taken, so a
 * device that is stopped has none. */
#include "tools/vfiod/device.h"
#include "tools/vfiod/dma.h"
#include "tools/vfiod/sim.h"

#include "drivers/virtio/device.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SECTOR      512U
#define TURN        32U        /* requests */
#define TURN_BYTES  (4U << 20) /* after which a turn ends */
#define REQUEST_MAX (64U << 20)
#define CHUNK       (1U << 20)
#define HEADER      16U

enum { F_SEG_MAX = 1U << 2, F_BLOCK_SIZE = 1U << 6, F_FLUSH = 1U << 9 };
enum { CONFIG_CAPACITY = 0, CONFIG_SEG_MAX = 12, CONFIG_BLOCK_SIZE = 20 };
enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_GET_ID = 8 };
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_UNKNOWN = 2 };

struct request {
    uint32_t type, priority;
    uint64_t sector;
};

_Static_assert(sizeof(struct request) == HEADER, "virtio 1.3, 5.2.6");

bool block_open(struct sim *sim)
{
    const struct back_end_options *options = &sim->options.back_end;
    int fd = open(options->file, (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

    sim->back_end.fd = fd;
    if (size < (off_t)SECTOR) {
        vfiod_say("%s: %s", options->file,
                  size < 0 ? strerror(errno) : "a disk has at least one sector of 512 bytes");
        return false;
    }
    sim->back_end.sectors = (uint64_t)size / SECTOR;
    sim->queues = 1;
    sim->features =
        F_SEG_MAX | F_BLOCK_SIZE | F_FLUSH | (options->read_only ? BLOCK_F_READ_ONLY : 0);
    sim->config_size = legacy_type_find(VIRTIO_TYPE_BLOCK)->config_length;
    bytes_put(&sim->config[CONFIG_CAPACITY], 8, sim->back_end.sectors);
    bytes_put(&sim->config[CONFIG_SEG_MAX], 4, sim->options.queue_size - 2U);
    bytes_put(&sim->config[CONFIG_BLOCK_SIZE], 4, SECTOR);
    return true;
}

bool block_flush(struct sim *sim)
{
    return sim->options.back_end.read_only || fdatasync(sim->back_end.fd) == 0;
}

/* All of the pieces, whatever a call does of them. */
static bool move_pieces(int fd, struct iovec *piece, unsigned pieces, uint64_t at, bool to_memory)
{
    while (pieces > 0) {
        ssize_t done = to_memory ? preadv(fd, piece, (int)pieces, (off_t)at)
                                 : pwritev(fd, piece, (int)pieces, (off_t)at);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        at += (uint64_t)done;
        for (; pieces > 0 && (size_t)done >= piece->iov_len; piece++, pieces--) {
            done -= (ssize_t)piece->iov_len;
        }
        if (pieces > 0) {
            piece->iov_base = (uint8_t *)piece->iov_base + done;
            piece->iov_len -= (size_t)done;
        }
    }
    return true;
}

/* The same by way of a copy, for memory that is far. */
static bool move_copy(int fd, const struct ring_segment *segment, unsigned segments,
                      uint64_t offset, uint32_t count, uint64_t at, bool to_memory)
{
    static uint8_t bytes[CHUNK];
    struct iovec piece = {bytes, count};

    if (to_memory) {
        return move_pieces(fd, &piece, 1, at, true) &&
               dma_scatter(segment, segments, offset, bytes, count);
    }
    return dma_gather(segment, segments, offset, bytes, count) &&
           move_pieces(fd, &piece, 1, at, false);
}

/* BYTES of the request's data from AT on, in the file, and from byte OFFSET of the segments. */
static uint8_t transfer(struct sim *sim, const struct ring_chain *chain, const struct request *r,
                        uint64_t bytes)
{
    bool to_memory = r->type == TYPE_IN;
    const struct ring_segment *segment = &chain->segment[to_memory ? chain->out : 0];
    uint64_t offset = to_memory ? 0 : HEADER;
    struct iovec piece[DMA_PIECES];
    unsigned pieces;

    if (bytes % SECTOR != 0 || bytes > REQUEST_MAX || r->sector > sim->back_end.sectors ||
        bytes / SECTOR > sim->back_end.sectors - r->sector) {
        return STATUS_FAILED;
    }
    for (uint64_t done = 0; done < bytes;) {
        uint64_t count = bytes - done < CHUNK ? bytes - done : CHUNK;

        unsigned segments = to_memory ? chain->in : chain->out;
        uint64_t at = r->sector * SECTOR + done;

        if (dma_pieces(segment, segments, offset + done, count, to_memory, piece, &pieces)
                ? !move_pieces(sim->back_end.fd, piece, pieces, at, to_memory)
                : !move_copy(sim->back_end.fd, segment, segments, offset + done, (uint32_t)count,
                             at, to_memory)) {
            return STATUS_FAILED;
        }
        done += count;
    }
    return STATUS_DONE;
}

static uint8_t get_id(struct sim *sim, const struct ring_chain *chain, uint64_t room)
{
    uint32_t size = room < BLOCK_SERIAL_SIZE ? (uint32_t)room : BLOCK_SERIAL_SIZE;

    return dma_scatter(&chain->segment[chain->out], chain->in, 0, sim->options.back_end.serial,
                       size)
               ? STATUS_DONE
               : STATUS_FAILED;
}

/* *BYTES are in: the room for data, all but the last byte; out: what was written there. */
static uint8_t carry_out(struct sim *sim, const struct ring_chain *chain, uint64_t *bytes)
{
    uint64_t room = *bytes;
    struct request r;

    *bytes = 0;
    if (!dma_gather(chain->segment, chain->out, 0, &r, HEADER)) {
        return STATUS_FAILED;
    }
    switch (r.type) {
    case TYPE_IN:
        *bytes = room;
        return transfer(sim, chain, &r, room);
    case TYPE_OUT:
        return sim->options.back_end.read_only
                   ? STATUS_FAILED
                   : transfer(sim, chain, &r, chain->out_bytes - HEADER);
    case TYPE_FLUSH:
        return block_flush(sim) ? STATUS_DONE : STATUS_FAILED;
    case TYPE_GET_ID:
        *bytes = room < BLOCK_SERIAL_SIZE ? room : BLOCK_SERIAL_SIZE;
        return get_id(sim, chain, room);
    default:
        return STATUS_UNKNOWN;
    }
}

enum ring_outcome block_serve(struct sim *sim, unsigned queue)
{
    struct ring *ring = &sim->queue[queue].ring;
    struct ring_chain chain;
    uint64_t moved = 0;

    for (unsigned i = 0; i < TURN && moved < TURN_BYTES; i++) {
        enum ring_outcome outcome = ring_take(ring, &chain);

        if (outcome != RING_CHAIN) {
            return outcome;
        }
        if (chain.out_bytes < HEADER || chain.in_bytes == 0) {
            ring->broken = true; /* no request, and no place to say so */
            return RING_BROKEN;
        }
        uint64_t bytes = chain.in_bytes - 1;
        uint8_t status = carry_out(sim, &chain, &bytes);

        moved += chain.out_bytes + bytes;
        if (!dma_scatter(&chain.segment[chain.out], chain.in, chain.in_bytes - 1, &status, 1)) {
            ring->broken = true;
            return RING_BROKEN;
        }
        ring_give(ring, chain.head, (uint32_t)(bytes + 1));
    }
    return RING_CHAIN;
}
