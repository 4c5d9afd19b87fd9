/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/ring.h"

void ring_put(struct ring *ring, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        ring->text[ring->written++ % RING_SIZE] = text[i];
    }
}

size_t ring_read(const struct ring *ring, uint64_t *from, char *buffer, size_t size)
{
    size_t copied = 0;

    if (ring->written - *from > RING_SIZE) {
        *from = ring->written - RING_SIZE;
    }
    while (copied < size && *from < ring->written) {
        buffer[copied++] = ring->text[(*from)++ % RING_SIZE];
    }
    return copied;
}
