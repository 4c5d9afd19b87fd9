/* SPDX-License-Identifier: BSD-2-Clause */
/* DMA to where it must not go; rings and chains that make no sense. */
#include "guest/vbad/vbad.h"

#include <stdio.h>
#include <string.h>

#define SECTOR_DATA  0U /* of this guest's own disk */
#define SECTOR_LOOT  8U
#define INDEX_JUMP   0x8000U
#define PFN_SHIFT    12
#define LENGTH_LARGE 0xfffffff0U

/* What the device is to write: VALUE, again and again. */
static bool prepare_data(uint64_t value)
{
    for (unsigned at = 0; at < SECTOR; at += sizeof(value)) {
        memcpy(buffer + at, &value, sizeof(value));
    }
    return CHECK(disk_transfer(WRITE, SECTOR_DATA, (uint64_t)buffer, SECTOR));
}

static const char *verdict(bool done)
{
    return done ? "the device did it" : "the device did not do it";
}

void case_dma_write(uint64_t address, uint64_t value)
{
    disk_start(false);
    if (prepare_data(value)) {
        printf("write to %lx: %s\n", address,
               verdict(disk_try(READ, SECTOR_DATA, address, SECTOR)));
    }
}

/* What was read is shown, if the device has it. */
void case_dma_read(uint64_t address, uint64_t value)
{
    uint64_t loot = 0;

    disk_start(false);
    bool done = disk_try(WRITE, SECTOR_LOOT, address, SECTOR);

    disk_start(false);
    if (done && CHECK(disk_transfer(READ, SECTOR_LOOT, (uint64_t)buffer, SECTOR))) {
        memcpy(&loot, buffer, sizeof(loot));
    }
    printf("read from %lx: %s, loot: %016lx\n", address, verdict(done), loot);
}

/* The device writes the data of an interrupt message, all over the page of the addresses for it. */
void case_forge(uint64_t address, uint64_t value)
{
    disk_start(false);
    if (prepare_data(value << 32 | value)) {
        printf("message %lx to %lx: %s\n", value, address,
               verdict(disk_try(READ, SECTOR_DATA, address, SECTOR)));
    }
}

/* The queue itself lies there. */
void case_ring(uint64_t address, uint64_t value)
{
    disk_prepare(false);
    outw((uint16_t)(disk.base + VIRTIO_QUEUE_SELECT), 0);
    outl((uint16_t)(disk.base + VIRTIO_QUEUE_PFN), (uint32_t)(address >> PFN_SHIFT));
    disk_ready();
    for (unsigned i = 0; i < 4; i++) {
        outw((uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY), 0);
    }
    printf("ring at %lx: PFN %x\n", address, inl((uint16_t)(disk.base + VIRTIO_QUEUE_PFN)));
}

/* ---- chains ---- */

enum nonsense {
    LOOP_OF_ONE,
    LOOP_OF_ALL,
    HEAD_BEYOND,
    NEXT_BEYOND,
    INDEX_FAR,
    INDEX_BACK,
    NO_LENGTH,
    NO_HEADER,
    LARGE,
    WRAPS_AROUND,
    ALL_OVER_RAM,
    QUEUE_OF_ITSELF,
    NONSENSES
};

static void spoil(enum nonsense kind)
{
    volatile struct virtio_descriptor *d = queue.descriptor;
    uint16_t head = 0;

    disk_offer(0, READ, 0, (uint64_t)buffer, SECTOR, false);
    switch (kind) {
    case LOOP_OF_ONE:
        d[1].next = 1;
        break;
    case LOOP_OF_ALL:
        for (unsigned i = 0; i < queue.size; i++) {
            d[i] = d[i == 0 ? 0 : 1];
            d[i].flags = VIRTIO_NEXT | (i == 0 ? 0 : VIRTIO_WRITE);
            d[i].next = (uint16_t)((i + 1) % queue.size);
        }
        break;
    case HEAD_BEYOND:
        head = queue.size;
        break;
    case NEXT_BEYOND:
        d[0].next = 0xffff;
        break;
    case INDEX_FAR:
        queue.available->index = (uint16_t)(queue.available->index + INDEX_JUMP);
        break;
    case INDEX_BACK:
        queue.available->index = (uint16_t)(queue.available->index - 2);
        break;
    case NO_LENGTH:
        d[1].length = 0;
        break;
    case NO_HEADER:
        d[0].flags = 0;
        break;
    case LARGE:
        d[1].length = LENGTH_LARGE;
        break;
    case WRAPS_AROUND:
        d[1].address = UINT64_MAX - SECTOR / 2 + 1;
        break;
    case ALL_OVER_RAM:
        d[1].address = guest_memory_upper() + 0x100000 - SECTOR / 2;
        break;
    case QUEUE_OF_ITSELF: /* the device writes over the rings while it works on them */
        d[1].address = (uint64_t)ring;
        break;
    case NONSENSES:
        break;
    }
    queue.available->ring[0] = head;
}

void case_chains(uint64_t address, uint64_t value)
{
    for (unsigned kind = 0; kind < NONSENSES; kind++) {
        uint8_t outcome;

        disk_start(false);
        spoil((enum nonsense)kind);
        outw((uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY), 0);
        outw((uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY), 0xffff);
        (void)disk_finish(0, POLLS, &outcome);
    }
    printf("chains: %u kinds of nonsense\n", NONSENSES);
}

/* ---- good I/O ---- */

void case_honest(uint64_t address, uint64_t value)
{
    bool good = true;

    for (unsigned round = 0; round < 16 && good; round++) {
        disk_start(false);
        memset(buffer, (int)(value + round), BUFFER);
        good = CHECK(disk_transfer(WRITE, 64, (uint64_t)buffer, BUFFER));
        memset(buffer, 0, BUFFER);
        good = good && CHECK(disk_transfer(READ, 64, (uint64_t)buffer, BUFFER));
        for (unsigned i = 0; i < BUFFER && good; i++) {
            good = buffer[i] == (uint8_t)(value + round);
        }
    }
    printf("honest: %s\n", good ? "all right" : "wrong");
}
