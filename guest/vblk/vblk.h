/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of guest/vblk share. */
#ifndef PORTOLAN_GUEST_VBLK_VBLK_H
#define PORTOLAN_GUEST_VBLK_VBLK_H

#include "guest/lib/virtio.h"

#include <stdbool.h>
#include <stdint.h>

#define SECTOR        512U
#define SECTORS       8U /* of one request */
#define READ          0
#define WRITE         1
#define WRITTEN_FIRST 1024U /* sectors that this guest writes, by way */
#define WRITTEN_EACH  256U
#define RING_PAGES    8
#define ROUND_PACE    64U /* of the rounds write different data, then the same again */

enum way { POLLED, INTX, MSIX };

/* A queue of a disk, with a request; those of one disk stand together. */
struct disk {
    uint8_t ring[RING_PAGES * 4096] __attribute__((aligned(4096)));
    uint8_t data[SECTORS * SECTOR] __attribute__((aligned(512)));
    struct {
        uint32_t type, priority;
        uint64_t sector;
    } header __attribute__((aligned(16)));
    struct virtio_device device;
    struct virtio_queue queue;
    uint16_t number; /* of the queue */
    volatile uint8_t outcome;
    volatile unsigned interrupts;
    unsigned before; /* of them, before the request */
};

extern bool gone;       /* a disk has gone away */
extern unsigned queues; /* of each disk */

/* Byte BYTE of SECTOR, as the image has it at the beginning. */
uint8_t pattern(uint64_t sector, unsigned byte);

/* Byte K of the data of the sectors from SECTOR on, with that SHIFT of what they hold. */
uint8_t sectors_byte(uint64_t sector, unsigned k, unsigned shift);

/* Where queue NUMBER is when the first one is at SECTOR: each comes round in what is read or
 * written. */
uint64_t sectors_turned(uint64_t sector, uint16_t number);

/*
 * Wait for the end of a request of one of COUNT queues from FIRST on, with an eye on the device:
 * which one; NULL, and 'gone', if it has gone away.
 */
struct disk *watch(struct disk *first, unsigned count, enum way way);

/* COUNT requests of the disk from FIRST on end; each is followed by another one, or with LAST by
 * none. */
void deep_work(struct disk *first, enum way way, unsigned count, bool last);

/* How many have ended since the request that has waited longest was offered; how many wait. */
unsigned deep_longest(void);
unsigned deep_under_way(void);

#endif
