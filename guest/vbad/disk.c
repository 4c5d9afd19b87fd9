/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk, driven without any care for where its requests point. */
#include "guest/vbad/vbad.h"

#include <string.h>

#define CHAIN 3U
#define SLOTS 80U

struct virtio_device disk;
struct virtio_queue queue;
uint8_t ring[RING_PAGES * 4096] __attribute__((aligned(4096)));
uint8_t buffer[BUFFER] __attribute__((aligned(4096)));

static struct {
    uint32_t type, priority;
    uint64_t sector;
} headers[SLOTS] __attribute__((aligned(16)));
static volatile uint8_t outcomes[SLOTS];

static uint16_t port(enum virtio_port at)
{
    return (uint16_t)(disk.base + at);
}

void disk_prepare(bool msix)
{
    virtio_reset(&disk);
    virtio_msix_enable(&disk, msix);
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl(port(VIRTIO_GUEST_FEATURES), 0);
}

void disk_ready(void)
{
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
}

void disk_start(bool msix)
{
    disk_prepare(msix);
    CHECK(virtio_set_up_queue(&disk, 0, ring, sizeof(ring), &queue));
    if (msix) {
        outw(port(VIRTIO_QUEUE_VECTOR), 1);
    }
    disk_ready();
}

static void describe(unsigned index, uint64_t address, uint32_t length, uint16_t flags)
{
    queue.descriptor[index].address = address;
    queue.descriptor[index].length = length;
    queue.descriptor[index].flags = flags;
    queue.descriptor[index].next = (uint16_t)(index + 1);
}

void disk_offer(unsigned slot, uint32_t type, uint64_t sector, uint64_t address, uint32_t length,
                bool notify)
{
    unsigned first = slot * CHAIN;

    headers[slot].type = type;
    headers[slot].sector = sector;
    outcomes[slot] = 0xff;
    describe(first, (uint64_t)&headers[slot], sizeof(headers[slot]), VIRTIO_NEXT);
    describe(first + 1, address, length, type == READ ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT);
    describe(first + 2, (uint64_t)&outcomes[slot], 1, VIRTIO_WRITE);
    if (notify) {
        virtio_offer(&disk, &queue, (uint16_t)first);
        return;
    }
    queue.available->ring[queue.available->index % queue.size] = (uint16_t)first;
    __asm__ volatile("" ::: "memory");
    queue.available->index++;
}

bool disk_finish(unsigned slot, unsigned polls, uint8_t *outcome)
{
    uint32_t length;
    bool done = false;

    for (unsigned i = 0; i < polls && !done; i++) {
        cpu_relax();
        done = virtio_take(&queue, &length);
    }
    *outcome = outcomes[slot];
    return done;
}

static bool transfer(uint32_t type, uint64_t sector, uint64_t address, uint32_t length,
                     unsigned polls)
{
    uint8_t outcome;

    disk_offer(0, type, sector, address, length, true);
    return disk_finish(0, polls, &outcome) && outcome == 0;
}

bool disk_transfer(uint32_t type, uint64_t sector, uint64_t address, uint32_t length)
{
    return transfer(type, sector, address, length, POLLS_MAX);
}

bool disk_try(uint32_t type, uint64_t sector, uint64_t address, uint32_t length)
{
    return transfer(type, sector, address, length, POLLS);
}

void disk_load(void)
{
    for (unsigned slot = 0; slot < SLOTS && (slot + 1) * CHAIN <= queue.size; slot++) {
        disk_offer(slot, READ, 0, (uint64_t)buffer, BUFFER, false);
    }
    outw(port(VIRTIO_QUEUE_NOTIFY), queue.number);
}
