/* SPDX-License-Identifier: BSD-2-Clause */
/* Deep rounds: each slot writes its own sectors and reads them again, by turns. Queues have slots
 * in turn. */
#include "guest/lib/guest.h"
#include "guest/vblk/vblk.h"

#define SLOTS 8U /* requests at the same time */
#define CHAIN 3U /* descriptors of one */

static struct slot {
    uint8_t data[SECTORS * SECTOR] __attribute__((aligned(512)));
    struct {
        uint32_t type, priority;
        uint64_t sector;
    } header __attribute__((aligned(16)));
    volatile uint8_t outcome;
    bool busy;
    unsigned turns, since; /* what had ended when it was offered */
} slots[SLOTS];
static unsigned ended;

static uint64_t sector_of(enum way way, unsigned number)
{
    return WRITTEN_FIRST + (uint64_t)way * WRITTEN_EACH + (uint64_t)number * SECTORS;
}

/* Byte I of what slot NUMBER writes in its turn, and reads in the next one. */
static uint8_t wanted(enum way way, unsigned number, unsigned i)
{
    unsigned shift = 16 + slots[number].turns / 2 % ROUND_PACE;

    return (uint8_t)(pattern(sector_of(way, number) + i / SECTOR, i % SECTOR) + shift);
}

static void offer_slot(struct disk *first_queue, enum way way, unsigned number)
{
    struct disk *disk = first_queue + number % queues;
    struct slot *slot = &slots[number];
    bool writes = slot->turns % 2 == 0;
    uint16_t first = (uint16_t)(number * CHAIN);

    for (unsigned i = 0; i < sizeof(slot->data); i++) {
        slot->data[i] = writes ? wanted(way, number, i) : 0;
    }
    slot->header.type = writes ? WRITE : READ;
    slot->header.sector = sector_of(way, number);
    slot->outcome = 0xff;
    slot->busy = true;
    slot->since = ended;
    virtio_describe(disk->queue.descriptor, first, &slot->header, 16, VIRTIO_NEXT);
    virtio_describe(disk->queue.descriptor, first + 1U, slot->data, sizeof(slot->data),
                    writes ? VIRTIO_NEXT : VIRTIO_NEXT | VIRTIO_WRITE);
    virtio_describe(disk->queue.descriptor, first + 2U, &slot->outcome, 1, VIRTIO_WRITE);
    virtio_offer(&disk->device, &disk->queue, first);
}

/* What has come back was under way, is right, and comes once. */
static void end_slot(const struct disk *disk, enum way way, uint16_t head)
{
    unsigned number = head / CHAIN, wrong = 0;

    if (!CHECK(head % CHAIN == 0 && number < SLOTS && slots[number].busy &&
               number % queues == disk->number) ||
        !CHECK_EQUAL(slots[number].outcome, 0)) {
        return;
    }
    for (unsigned i = 0; i < sizeof(slots[number].data); i++) {
        wrong += slots[number].data[i] != wanted(way, number, i);
    }
    CHECK_EQUAL(wrong, 0);
    slots[number].busy = false;
    slots[number].turns++;
    ended++;
}

void deep_work(struct disk *first, enum way way, unsigned count, bool last)
{
    struct disk *disk;
    uint16_t head;
    uint32_t length;

    for (unsigned i = 0; i < count && !gone && test_failures() == 0; i++) {
        for (unsigned k = 0; k < SLOTS && !last; k++) {
            if (!slots[k].busy) {
                offer_slot(first, way, k);
            }
        }
        disk = watch(first, queues, POLLED);
        if (disk && CHECK(virtio_take_chain(&disk->queue, &head, &length))) {
            end_slot(disk, way, head);
        }
    }
}

unsigned deep_longest(void)
{
    unsigned most = 0;

    for (unsigned k = 0; k < SLOTS; k++) {
        most = slots[k].busy && ended - slots[k].since > most ? ended - slots[k].since : most;
    }
    return most;
}

unsigned deep_under_way(void)
{
    unsigned count = 0;

    for (unsigned k = 0; k < SLOTS; k++) {
        count += slots[k].busy;
    }
    return count;
}
