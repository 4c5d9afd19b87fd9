/* SPDX-License-Identifier: BSD-2-Clause */
/* The last 64 KiB of the log. Not locked: log.c does that. */
#ifndef PORTOLAN_VMM_CONSOLE_RING_H
#define PORTOLAN_VMM_CONSOLE_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_SIZE 65536U

struct ring {
    uint64_t written; /* bytes ever; the next goes to written % RING_SIZE */
    char text[RING_SIZE];
};

void ring_put(struct ring *ring, const char *text, size_t length);

/*
 * Copy up to SIZE bytes from position *FROM (bytes ever written before it; what is overwritten is
 * skipped) to BUFFER and move *FROM behind them. Returns the number copied, 0 at the end.
 */
size_t ring_read(const struct ring *ring, uint64_t *from, char *buffer, size_t size);

#endif
