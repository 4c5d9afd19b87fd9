/* SPDX-License-Identifier: BSD-2-Clause */
/* A device's accesses to its client's memory, which is mapped here, or far.h's. A failure says that
 * some of it is no memory, or not the device's to write; or far.h's reasons. */
#ifndef PORTOLAN_TOOLS_VFIOD_DMA_H
#define PORTOLAN_TOOLS_VFIOD_DMA_H

#include "vmm/base/types.h"

#include <sys/uio.h>

struct ring_segment;

#define DMA_PIECES 1024U /* of one request, in this process */

/* One access. AT is even. */
bool dma_get16(uint64_t at, uint16_t *value);
bool dma_put16(uint64_t at, uint16_t value);

/* SIZE bytes, over the ends of maps. */
bool dma_read(uint64_t at, void *to, uint32_t size);
bool dma_write(uint64_t at, const void *from, uint32_t size);

/*
 * Where the SIZE bytes from byte OFFSET of the COUNT segments on lie in this process: *PIECES of
 * DMA_PIECES at most. False: not all of it is there, or some of it is far.
 */
bool dma_pieces(const struct ring_segment *segment, unsigned count, uint64_t offset, uint64_t size,
                bool write, struct iovec *piece, unsigned *pieces);

/* Copy SIZE bytes from, or to, byte OFFSET of the segments. */
bool dma_gather(const struct ring_segment *segment, unsigned count, uint64_t offset, void *to,
                uint32_t size);
bool dma_scatter(const struct ring_segment *segment, unsigned count, uint64_t offset,
                 const void *from, uint32_t size);

#endif
