/* SPDX-License-Identifier: BSD-2-Clause */
/* What virtio-vfio-pci saves: records { le64 size, le32 flags, le32 tag } of device parts. */
#include "peer.h"

#include <string.h>

#define RECORD      16U
#define HEADER      16U
#define STATUS_OK   15U
#define LEGACY_OK   7U
#define FEATURES_OK 0x300000000ULL /* VERSION_1, ACCESS_PLATFORM */
#define NET_OK      0x10020ULL     /* MAC, STATUS */

enum part_type {
    DEV_FEATURES = 0x100,
    DRV_FEATURES,
    PCI_COMMON_CFG,
    DEVICE_STATUS,
    VQ_CFG,
    VQ_NOTIFY_CFG,
    CVQ_CFG = 0x200
};

/* What has been found. */
#define SEEN_DEV_FEATURES 1U
#define SEEN_DRV_FEATURES 2U
#define SEEN_STATUS       4U
#define SEEN_QUEUE        8U
#define SEEN_ADDRESS      16U

static uint64_t number(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static void check_queue(const struct driver *driver, const uint8_t *selector, const uint8_t *value)
{
    unsigned index = (unsigned)number(selector, 2);
    const struct queue *queue = &driver->queues[index < QUEUES_MAX ? index : 0];

    if (index >= (driver->is_net ? 2U : 1U)) {
        /* Legacy devices have no such bit: there a queue is enabled by its address. */
        expect_value("address of a queue that is not used", number(value + 8, 8), 0);
        return;
    }
    expect_value("saved queue size", number(value, 2), queue->size);
    expect_value("saved queue vector", number(value + 2, 2), index);
    expect_value("saved enabled", number(value + 4, 2), 1);
    expect_value("saved descriptors", number(value + 8, 8), queue_descriptors(queue));
    expect_value("saved available ring", number(value + 16, 8), queue_available(queue));
    expect_value("saved used ring", number(value + 24, 8), queue_used(queue));
}

/* One part: what it says is what the driver has set. Returns what it is. */
static unsigned check_part(const struct driver *driver, const uint8_t *part, const uint8_t *mac)
{
    enum part_type type = (enum part_type)number(part, 2);
    const uint8_t *selector = part + 4, *value = part + HEADER;

    switch (type) {
    case DEV_FEATURES:
        expect_value("optional flag of DEV_FEATURES", part[2] & 1, 1);
        return SEEN_DEV_FEATURES;
    case DRV_FEATURES:
        expect_value("saved driver features", number(value, 8),
                     (driver->is_legacy ? 0 : FEATURES_OK) | (driver->is_net ? NET_OK : 0));
        return SEEN_DRV_FEATURES;
    case DEVICE_STATUS:
        expect_value("saved status", value[0], driver->is_legacy ? LEGACY_OK : STATUS_OK);
        return SEEN_STATUS;
    case VQ_CFG:
        check_queue(driver, selector, value);
        return SEEN_QUEUE;
    case CVQ_CFG:
        if (selector[0] != 1 || selector[1] != 1) {
            return 0;
        }
        if (memcmp(value, mac, 6) != 0) {
            fail("the saved address is another");
        }
        return SEEN_ADDRESS;
    case PCI_COMMON_CFG:
    case VQ_NOTIFY_CFG:
        return 0;
    default:
        fail("part of type %#x", type);
    }
}

/* The parts of one record: each within it, in the standard's order, and right. Returns how many
 * there are. */
static unsigned check_record(const struct driver *driver, const uint8_t *parts, size_t size,
                             const uint8_t *mac)
{
    unsigned last = 0, seen = 0, count = 0;

    for (size_t at = 0; at < size; count++) {
        size_t left = size - at;
        unsigned type = left < HEADER ? 0 : (unsigned)number(parts + at, 2);
        uint64_t length = left < HEADER ? 0 : number(parts + at + 12, 4);

        if (left < HEADER || length > left - HEADER || type < last) {
            fail("part %u, of type %#x, is cut off or out of order", count, type);
        }
        seen |= check_part(driver, parts + at, mac);
        last = type;
        at += HEADER + length;
    }
    expect_value("kinds of parts that were found", seen,
                 SEEN_DEV_FEATURES | SEEN_DRV_FEATURES | SEEN_STATUS | SEEN_QUEUE |
                     (driver->is_net ? SEEN_ADDRESS : 0));
    return count;
}

void parts_check(const struct driver *driver, const uint8_t *state, size_t size, unsigned records,
                 const uint8_t *mac)
{
    size_t at = 0;
    unsigned parts = 0;

    for (unsigned i = 0; i < records; i++) {
        size_t left = size - at;
        uint64_t length = left < RECORD ? 0 : number(state + at, 8);

        if (!length || length > left - RECORD) {
            fail("record %u of %u, at %zu of %zu bytes, is cut off", i, records, at, size);
        }
        expect_value("tag of a record", number(state + at + 12, 4), 0);
        parts += check_record(driver, state + at + RECORD, length, mac);
        at += RECORD + length;
    }
    expect_value("bytes behind the last record", size - at, 0);
    say("%s: %zu bytes, %u records, %u parts, all as the driver has set", driver->vf->bdf, size,
        records, parts);
}
