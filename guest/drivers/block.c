/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/drivers/drivers.h"

#include <stdio.h>
#include <string.h>

#define SLOTS         8U
#define TYPE_READ     0
#define TYPE_WRITE    1
#define TYPE_FLUSH    4
#define FEATURE_FLUSH (1U << 9)
#define READS         24U
#define WRITES        8U /* fill the run of sectors */
#define UNTOUCHED     0xff

/* Request SLOT has descriptors 3 x SLOT and on, or one that leads to INDIRECT. */
static struct slot {
    struct {
        uint32_t type, priority;
        uint64_t sector;
    } header;
    volatile uint8_t outcome;
    volatile struct virtio_descriptor indirect[3] __attribute__((aligned(16)));
    uint8_t data[DISK_BYTES] __attribute__((aligned(512)));
} slots[SLOTS];

/* Header, data and outcome have descriptors of their own, as old devices want it. */
static void submit(struct driver *driver, unsigned number, uint32_t type, uint64_t sector)
{
    struct virtio_queue *queue = &driver->queue[0];
    struct slot *slot = &slots[number];
    bool indirect = (driver->features & FEATURE_INDIRECT) != 0;
    volatile struct virtio_descriptor *table = indirect ? slot->indirect : queue->descriptor;
    uint16_t head = (uint16_t)(3 * number);
    uint16_t at = indirect ? 0 : head;

    slot->header.type = type;
    slot->header.priority = 0;
    slot->header.sector = sector;
    slot->outcome = UNTOUCHED;
    virtio_describe(table, at++, &slot->header, sizeof(slot->header), VIRTIO_NEXT);
    if (type != TYPE_FLUSH) {
        virtio_describe(table, at++, slot->data, DISK_BYTES,
                        type == TYPE_READ ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT);
    }
    virtio_describe(table, at++, &slot->outcome, 1, VIRTIO_WRITE);
    if (indirect) {
        virtio_describe(queue->descriptor, head, table, at * sizeof(*table), VIRTIO_INDIRECT);
    }
    virtio_put(queue, head);
    wait_kick(driver, 0);
}

/* One request has ended; is it good? */
static bool finish(struct driver *driver, unsigned *number)
{
    uint32_t length;

    *number = wait_for(driver, 0, &length) / 3U;
    return CHECK(*number < SLOTS) && CHECK_EQUAL(slots[*number].outcome, 0);
}

/* COUNT requests, as many at once as the style has under way. */
static void transfer(struct driver *driver, uint32_t type, bool own, unsigned count)
{
    unsigned depth = driver->style->depth, number;

    for (unsigned done = 0; done < count; done += depth) {
        for (unsigned i = 0; i < depth; i++) {
            uint64_t sector = disk_place(driver, own, done + i);

            memset(slots[i].data, 0, DISK_BYTES);
            if (type == TYPE_WRITE) {
                disk_fill(driver, sector, slots[i].data);
            }
            submit(driver, i, type, sector);
        }
        for (unsigned i = 0; i < depth; i++) {
            if (finish(driver, &number) && type == TYPE_READ) {
                (void)disk_check(driver, own, slots[number].header.sector, slots[number].data);
            }
        }
    }
}

static void flush(struct driver *driver)
{
    unsigned number;

    submit(driver, 0, TYPE_FLUSH, 0);
    (void)finish(driver, &number);
}

/* The partition table is looked for while the driver is still being probed. */
void block_early(struct driver *driver)
{
    CHECK_EQUAL(inb(driver_port(driver, VIRTIO_STATUS)) & VIRTIO_DRIVER_OK, 0);
    transfer(driver, TYPE_READ, false, driver->style->depth);
}

void block_pending_dump(struct driver *driver)
{
    uint32_t length;
    uint16_t head;

    submit(driver, 0, TYPE_READ, 0);
    while (slots[0].outcome == UNTOUCHED) {
        cpu_relax();
    }
    wait_check_dump(driver);
    head = wait_for(driver, 0, &length);
    CHECK_EQUAL(head, 0);
    CHECK(disk_check(driver, false, 0, slots[0].data));
}

static uint64_t capacity(const struct driver *driver)
{
    uint64_t sectors;

    memcpy(&sectors, driver->config, sizeof(sectors));
    return sectors;
}

/* The disk grows while the driver looks elsewhere. */
static void watch_growth(struct driver *driver)
{
    driver_read_config(driver, true);
    uint64_t before = capacity(driver);

    printf("  capacity is %lu: waiting for another\n", before);
    while (capacity(driver) == before) {
        wait_for_change(driver);
        driver_read_config(driver, true);
    }
    CHECK_EQUAL(capacity(driver), before + DISK_SECTORS);
}

void block_exercise(struct driver *driver)
{
    transfer(driver, TYPE_READ, false, READS);
    transfer(driver, TYPE_WRITE, true, WRITES);
    if (driver->features & FEATURE_FLUSH) {
        flush(driver);
    }
    transfer(driver, TYPE_READ, true, WRITES);
    disk_report(driver);
    if (driver->way != POLLED) {
        watch_growth(driver);
    }
}
