/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this guest share. */
#ifndef PORTOLAN_GUEST_VBAD_VBAD_H
#define PORTOLAN_GUEST_VBAD_VBAD_H

#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"

#define SECTOR     512U
#define BUFFER     0x10000UL
#define READ       0
#define WRITE      1
#define RING_PAGES 8U
#define POLLS      100000U
#define POLLS_MAX  500000000U
#define VECTOR_OWN 0x53

/* ---- disk.c ---- */

extern struct virtio_device disk;
extern struct virtio_queue queue;
extern uint8_t ring[RING_PAGES * 4096];
extern uint8_t buffer[BUFFER];

/* Reset the device and start it with the ring above; MSIX: entry 1 is the queue's. */
void disk_start(bool msix);

/* Reset it and take it up to DRIVER, without a queue. */
void disk_prepare(bool msix);
void disk_ready(void);

/*
 * A request of LENGTH bytes at bus address ADDRESS, chain SLOT (three descriptors each), and a
 * notification. NOTIFY false: only offered.
 */
void disk_offer(unsigned slot, uint32_t type, uint64_t sector, uint64_t address, uint32_t length,
                bool notify);

/* Look POLLS times for a request's end: true with the device's verdict, 0 being good. */
bool disk_finish(unsigned slot, unsigned polls, uint8_t *outcome);

/*
 * Both, with chain 0. True if the device says that it has done it. The first is for what must work
 * and waits as long as it takes, the second for what may never end.
 */
bool disk_transfer(uint32_t type, uint64_t sector, uint64_t address, uint32_t length);
bool disk_try(uint32_t type, uint64_t sector, uint64_t address, uint32_t length);

/* As much I/O as the ring takes, into the guest's own memory, begun and not waited for. */
void disk_load(void);

/* ---- the cases; each says what happened on a line of its own ---- */

void case_dma_write(uint64_t address, uint64_t value);
void case_dma_read(uint64_t address, uint64_t value);
void case_forge(uint64_t address, uint64_t value);
void case_ring(uint64_t address, uint64_t value);
void case_chains(uint64_t address, uint64_t value);
void case_table(uint64_t address, uint64_t value);
void case_bars(uint64_t address, uint64_t value);
void case_decode(uint64_t address, uint64_t value);
void case_flood(uint64_t address, uint64_t value);
void case_resets(uint64_t address, uint64_t value);
void case_honest(uint64_t address, uint64_t value);

#endif
