/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/dma.h"

#include "tools/vfiod/memory.h"
#include "tools/vfiod/ring.h"

#include <string.h>

bool dma_get16(uint64_t at, uint16_t *value)
{
    const uint16_t *here = memory_at(at, sizeof(*here), false);

    if (here == NULL) {
        return false;
    }
    *value = __atomic_load_n(here, __ATOMIC_RELAXED);
    return true;
}

bool dma_put16(uint64_t at, uint16_t value)
{
    uint16_t *here = memory_at(at, sizeof(*here), true);

    if (here == NULL) {
        return false;
    }
    __atomic_store_n(here, value, __ATOMIC_RELAXED);
    return true;
}

/* The first of SIZE bytes at AT that lie in one map: *RUN of them. NULL: none do. */
static uint8_t *run_at(uint64_t at, uint64_t size, bool write, uint64_t *run)
{
    *run = memory_run(at, size, write);
    return *run > 0 ? memory_at(at, *run, write) : NULL;
}

bool dma_read(uint64_t at, void *to, uint32_t size)
{
    uint64_t run;

    for (uint32_t done = 0; done < size; done += (uint32_t)run) {
        const uint8_t *here = run_at(at + done, size - done, false, &run);

        if (here == NULL) {
            return false;
        }
        memcpy((uint8_t *)to + done, here, run);
    }
    return true;
}

bool dma_write(uint64_t at, const void *from, uint32_t size)
{
    uint64_t run;

    for (uint32_t done = 0; done < size; done += (uint32_t)run) {
        uint8_t *here = run_at(at + done, size - done, true, &run);

        if (here == NULL) {
            return false;
        }
        memcpy(here, (const uint8_t *)from + done, run);
    }
    return true;
}

bool dma_pieces(const struct ring_segment *segment, unsigned count, uint64_t offset, uint64_t size,
                bool write, struct iovec *piece, unsigned *pieces)
{
    *pieces = 0;
    for (unsigned i = 0; i < count && size > 0; i++) {
        uint64_t at = segment[i].at + offset, left = segment[i].length, run;

        if (offset >= left) {
            offset -= left;
            continue;
        }
        left -= offset;
        left = left < size ? left : size;
        offset = 0;
        for (size -= left; left > 0; left -= run, at += run) {
            uint8_t *here = run_at(at, left, write, &run);

            if (here == NULL || *pieces == DMA_PIECES) {
                return false;
            }
            piece[(*pieces)++] = (struct iovec){.iov_base = here, .iov_len = run};
        }
    }
    return size == 0;
}

bool dma_gather(const struct ring_segment *segment, unsigned count, uint64_t offset, void *to,
                uint32_t size)
{
    struct iovec piece[DMA_PIECES];
    unsigned pieces;
    uint8_t *end = to;

    if (!dma_pieces(segment, count, offset, size, false, piece, &pieces)) {
        return false;
    }
    for (unsigned i = 0; i < pieces; end += piece[i++].iov_len) {
        memcpy(end, piece[i].iov_base, piece[i].iov_len);
    }
    return true;
}

bool dma_scatter(const struct ring_segment *segment, unsigned count, uint64_t offset,
                 const void *from, uint32_t size)
{
    struct iovec piece[DMA_PIECES];
    unsigned pieces;
    const uint8_t *next = from;

    if (!dma_pieces(segment, count, offset, size, true, piece, &pieces)) {
        return false;
    }
    for (unsigned i = 0; i < pieces; next += piece[i++].iov_len) {
        memcpy(piece[i].iov_base, next, piece[i].iov_len);
    }
    return true;
}
