/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/dma.h"

#include "tools/vfiod/far.h"
#include "tools/vfiod/memory.h"
#include "tools/vfiod/ring.h"

#include <string.h>

bool dma_get16(uint64_t at, uint16_t *value)
{
    const uint16_t *here = memory_at(at, sizeof(*here), false);

    if (here == NULL) {
        return dma_read(at, value, sizeof(*value));
    }
    if (!far_settle()) {
        return false;
    }
    *value = __atomic_load_n(here, __ATOMIC_RELAXED);
    return true;
}

bool dma_put16(uint64_t at, uint16_t value)
{
    uint16_t *here = memory_at(at, sizeof(*here), true);

    if (here == NULL) {
        return dma_write(at, &value, sizeof(value));
    }
    if (!far_settle()) {
        return false;
    }
    __atomic_store_n(here, value, __ATOMIC_RELAXED);
    return true;
}

/* The first of SIZE bytes at AT that lie in one map: *RUN of them. NULL: none do. */
static uint8_t *run_at(uint64_t at, uint64_t size, bool write, uint64_t *run)
{
    *run = memory_run(at, size, write);
    return *run > 0 && far_settle() ? memory_at(at, *run, write) : NULL;
}

bool dma_read(uint64_t at, void *to, uint32_t size)
{
    uint64_t run;

    for (uint32_t done = 0; done < size; done += (uint32_t)run) {
        const uint8_t *here = run_at(at + done, size - done, false, &run);

        if (here != NULL) {
            memcpy((uint8_t *)to + done, here, run);
            continue;
        }
        run = memory_far_run(at + done, size - done, false);
        if (run == 0 || !far_read(at + done, (uint8_t *)to + done, (uint32_t)run)) {
            return false;
        }
    }
    return true;
}

bool dma_write(uint64_t at, const void *from, uint32_t size)
{
    uint64_t run;

    for (uint32_t done = 0; done < size; done += (uint32_t)run) {
        uint8_t *here = run_at(at + done, size - done, true, &run);

        if (here != NULL) {
            memcpy(here, (const uint8_t *)from + done, run);
            continue;
        }
        run = memory_far_run(at + done, size - done, true);
        if (run == 0 || !far_write(at + done, (const uint8_t *)from + done, (uint32_t)run)) {
            return false;
        }
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

/* One after the other: DATA goes to the segments, or comes from there. */
static bool copy(const struct ring_segment *segment, unsigned count, uint64_t offset, uint32_t size,
                 bool write, uint8_t *data)
{
    uint32_t run;

    for (unsigned i = 0; i < count && size > 0; i++) {
        uint64_t at = segment[i].at + offset, left = segment[i].length;

        if (offset >= left) {
            offset -= left;
            continue;
        }
        left -= offset;
        offset = 0;
        run = left < size ? (uint32_t)left : size;
        if (write ? !dma_write(at, data, run) : !dma_read(at, data, run)) {
            return false;
        }
        data += run;
        size -= run;
    }
    return size == 0;
}

bool dma_gather(const struct ring_segment *segment, unsigned count, uint64_t offset, void *to,
                uint32_t size)
{
    return copy(segment, count, offset, size, false, to);
}

bool dma_scatter(const struct ring_segment *segment, unsigned count, uint64_t offset,
                 const void *from, uint32_t size)
{
    return copy(segment, count, offset, size, true, (uint8_t *)(uintptr_t)from);
}
