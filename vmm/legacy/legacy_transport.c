/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ways to the legacy registers of a VF: its MMR block (docs/mmr-device.md, 5), and commands 2
 * to 6 of the PF's administration queue (virtio 1.3, 2.12.1.2).
 */
#include "vmm/base/log.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#include "drivers/virtio/admin.h"

/* An entry of the reply to NOTIFY_INFO. */
enum { NOTIFY_FLAGS = 0, NOTIFY_BAR = 1, NOTIFY_OFFSET = 8, NOTIFY_SIZE = 16, NOTIFY_ENTRIES = 4 };
enum { NOTIFY_END = 0, NOTIFY_OWNER = 1, NOTIFY_MEMBER = 2 };
#define NOTIFY_BAR_MAX 5U

/* ---- The administration queue ---- */

/* A device that refuses an access does what another does by answering all ones. */
static bool admin(struct legacy_function *f, uint16_t opcode, const void *data, size_t size,
                  void *result, size_t result_size)
{
    enum status status = legacy_edge_admin(f, opcode, data, size, result, result_size);

    if (status == STATUS_TIMEOUT) {
        legacy_life_lose(f, "gets no answers to commands of its PF");
    } else if (status == STATUS_NOT_FOUND) {
        legacy_life_lose(f, "is gone, as its PF says");
    } else if (status != STATUS_OK) {
        f->counters.refused++;
    }
    return status == STATUS_OK;
}

static uint32_t admin_read(struct legacy_function *f, enum legacy_area area, unsigned offset,
                           unsigned width)
{
    uint16_t opcode = area == LEGACY_AREA_CONFIG ? VIRTIO_ADMIN_LEGACY_DEVICE_READ
                                                 : VIRTIO_ADMIN_LEGACY_COMMON_READ;
    const uint8_t data[VIRTIO_LEGACY_HEADER_SIZE] = {(uint8_t)offset};
    uint8_t result[4];

    if (!admin(f, opcode, data, sizeof(data), result, width)) {
        return all_ones(width);
    }
    return (uint32_t)bytes_get(result, width);
}

static void admin_write(struct legacy_function *f, enum legacy_area area, unsigned offset,
                        unsigned width, uint32_t value)
{
    uint16_t opcode = area == LEGACY_AREA_CONFIG ? VIRTIO_ADMIN_LEGACY_DEVICE_WRITE
                                                 : VIRTIO_ADMIN_LEGACY_COMMON_WRITE;
    uint8_t data[VIRTIO_LEGACY_HEADER_SIZE + 4] = {(uint8_t)offset};

    bytes_put(data + VIRTIO_LEGACY_HEADER_SIZE, width, value);
    (void)admin(f, opcode, data, VIRTIO_LEGACY_HEADER_SIZE + width, NULL, 0);
}

/* The first entry that makes sense; the device lists them in its order of preference. */
static volatile uint16_t *admin_doorbell(struct legacy_function *f)
{
    uint8_t reply[NOTIFY_ENTRIES * NOTIFY_SIZE] = {0};

    if (legacy_edge_admin(f, VIRTIO_ADMIN_LEGACY_NOTIFY_INFO, NULL, 0, reply, sizeof(reply)) !=
        STATUS_OK) {
        return NULL; /* a device need not have this command */
    }
    for (unsigned i = 0; i < NOTIFY_ENTRIES; i++) {
        const uint8_t *entry = &reply[(size_t)i * NOTIFY_SIZE];
        uint64_t offset = bytes_get(entry + NOTIFY_OFFSET, 8);
        uint8_t flags = entry[NOTIFY_FLAGS];
        volatile uint16_t *doorbell;

        if (flags == NOTIFY_END) {
            break;
        }
        if ((flags != NOTIFY_OWNER && flags != NOTIFY_MEMBER) ||
            entry[NOTIFY_BAR] > NOTIFY_BAR_MAX || offset % 2 != 0) {
            continue;
        }
        doorbell = legacy_edge_doorbell(f, flags == NOTIFY_OWNER, entry[NOTIFY_BAR], offset);
        if (doorbell != NULL) {
            return doorbell;
        }
    }
    return NULL;
}

/* ---- The block ---- */

/* Device configuration moves with the VF's own MSI-X Enable, whatever the guest has. */
static uint32_t mmr_offset(const struct legacy_function *f, enum legacy_area area, unsigned offset)
{
    if (area == LEGACY_AREA_HEADER) {
        return offset;
    }
    return offset + (f->vf_msix ? LEGACY_HEADER_MSIX : LEGACY_HEADER_INTX);
}

/* A status of FFh cannot be (LEGACY_STATUS_BITS): a VF that reads so is gone. */
static bool mmr_alive(struct legacy_function *f)
{
    if (legacy_edge_mmr_read(f, LEGACY_STATUS, 1) != all_ones(1)) {
        return true;
    }
    legacy_life_lose(f, "answers all ones");
    return false;
}

static uint32_t mmr_read(struct legacy_function *f, enum legacy_area area, unsigned offset,
                         unsigned width)
{
    uint32_t value = legacy_edge_mmr_read(f, mmr_offset(f, area, offset), width);

    if (value == all_ones(width)) {
        (void)mmr_alive(f);
    }
    return value;
}

/* Reading the status has no side effect, and no read overtakes a write. */
static void mmr_write(struct legacy_function *f, enum legacy_area area, unsigned offset,
                      unsigned width, uint32_t value)
{
    legacy_edge_mmr_write(f, mmr_offset(f, area, offset), width, value);
    (void)mmr_alive(f);
}

/* ---- Both ---- */

uint32_t legacy_transport_read(struct legacy_function *f, enum legacy_area area, unsigned offset,
                               unsigned width)
{
    if (legacy_is_lost(f)) {
        return all_ones(width);
    }
    f->counters.reads++;
    return f->setup.transport == LEGACY_TRANSPORT_MMR ? mmr_read(f, area, offset, width)
                                                      : admin_read(f, area, offset, width);
}

void legacy_transport_write(struct legacy_function *f, enum legacy_area area, unsigned offset,
                            unsigned width, uint32_t value)
{
    if (legacy_is_lost(f)) {
        return;
    }
    f->counters.writes++;
    if (f->setup.transport == LEGACY_TRANSPORT_MMR) {
        mmr_write(f, area, offset, width, value);
    } else {
        admin_write(f, area, offset, width, value);
    }
}

void legacy_transport_find_doorbell(struct legacy_function *f)
{
    const struct legacy_setup *setup = &f->setup;
    volatile uint16_t *doorbell =
        setup->transport == LEGACY_TRANSPORT_MMR
            ? legacy_edge_doorbell(f, false, setup->block_bar,
                                   setup->block_offset + LEGACY_QUEUE_NOTIFY)
            : admin_doorbell(f);

    __atomic_store_n(&f->doorbell, doorbell, __ATOMIC_RELEASE);
    if (doorbell == NULL) {
        log_info("VM %s: VF " BDF_FORMAT " has no notification address; every notification is a "
                 "register access",
                 f->set->vm, BDF_ARGS(setup->vf));
    }
}
