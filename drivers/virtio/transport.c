/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/transport.h"

#include "drivers/virtio/virtio_wait.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"

#include <string.h>

#define RESET_LIMIT_US  5000000U
#define GENERATIONS_MAX 16U /* tries to read an unchanging configuration */

uint32_t virtio_common_read(const struct virtio_transport *transport,
                            enum virtio_common_register reg, unsigned width)
{
    return mmio_read(transport->common + reg, width);
}

void virtio_common_write(const struct virtio_transport *transport, enum virtio_common_register reg,
                         unsigned width, uint32_t value)
{
    mmio_write(transport->common + reg, width, value);
}

void virtio_common_write64(const struct virtio_transport *transport,
                           enum virtio_common_register reg, uint64_t value)
{
    mmio_write(transport->common + reg, 4, (uint32_t)value);
    mmio_write(transport->common + reg + 4, 4, (uint32_t)(value >> 32));
}

/* Where REGION is, when it lies whole in one of BARS and begins at a multiple of 4. */
static enum status region_locate(bdf_t bdf, const struct virtio_region *region, const char *what,
                                 const struct virtio_bar *bars, hpa_t *base)
{
    const struct virtio_bar *bar = &bars[region->bar % PCI_BARS_MAX];

    if (region->bar >= PCI_BARS_MAX || bar->size == 0 || region->offset % 4 != 0 ||
        !range_fits(region->offset, region->length, bar->size)) {
        log_warn("virtio " BDF_FORMAT ": the %s structure, %u bytes at %#x of BAR %u, is not in "
                 "that BAR (%#lx bytes); the function cannot be driven",
                 BDF_ARGS(bdf), what, region->length, region->offset, region->bar, bar->size);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    *base = hpa(bar->base.raw + region->offset);
    return STATUS_OK;
}

/* Map at most a page of REGION: no structure that the VMM reads is longer. */
static enum status region_map(bdf_t bdf, const struct virtio_region *region, const char *what,
                              const struct virtio_bar *bars, uint8_t **window, uint32_t *length)
{
    hpa_t base = hpa(0);
    enum status status = region_locate(bdf, region, what, bars, &base);

    if (status != STATUS_OK) {
        return status;
    }
    *length = region->length < PAGE_SIZE ? region->length : (uint32_t)PAGE_SIZE;
    *window = map_physical(base, *length, MAP_DEVICE);
    return *window != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status virtio_transport_map(struct virtio_transport *transport, bdf_t bdf,
                                 const struct virtio_regions *regions,
                                 const struct virtio_bar *bars)
{
    enum status status;

    *transport = (struct virtio_transport){.bdf = bdf,
                                           .notify_length = regions->notify.length,
                                           .notify_multiplier = regions->notify_multiplier};
    if (regions->common.length < VIRTIO_COMMON_SIZE || regions->notify.length < 2) {
        log_warn("virtio " BDF_FORMAT ": no usable common or notify structure (%u and %u bytes); "
                 "the function cannot be driven",
                 BDF_ARGS(bdf), regions->common.length, regions->notify.length);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    status = region_locate(bdf, &regions->notify, "notify", bars, &transport->notify);
    if (status != STATUS_OK) {
        return status;
    }
    status = region_map(bdf, &regions->common, "common", bars, &transport->common,
                        &transport->common_length);
    if (status == STATUS_OK && regions->device.length != 0) {
        status = region_map(bdf, &regions->device, "device", bars, &transport->device,
                            &transport->device_length);
    }
    if (status != STATUS_OK) {
        virtio_transport_unmap(transport);
    }
    return status;
}

void virtio_transport_unmap(struct virtio_transport *transport)
{
    if (transport->common != NULL) {
        map_release(transport->common, transport->common_length);
    }
    if (transport->device != NULL) {
        map_release(transport->device, transport->device_length);
    }
    transport->common = NULL;
    transport->device = NULL;
}

static uint32_t status_read(const struct virtio_transport *transport)
{
    return virtio_common_read(transport, VIRTIO_COMMON_STATUS, 1);
}

static void status_write(const struct virtio_transport *transport, uint32_t value)
{
    virtio_common_write(transport, VIRTIO_COMMON_STATUS, 1, value);
}

enum status virtio_transport_reset(const struct virtio_transport *transport)
{
    struct virtio_wait wait = {.limit_us = RESET_LIMIT_US};
    uint32_t value;

    status_write(transport, 0);
    value = status_read(transport);
    while (value != 0) {
        if (value == VIRTIO_STATUS_GONE) {
            log_warn("virtio " BDF_FORMAT ": the registers read as all ones: the device is gone",
                     BDF_ARGS(transport->bdf));
            return STATUS_NOTE(STATUS_DEVICE);
        }
        if (!virtio_wait_more(&wait)) {
            log_warn("virtio " BDF_FORMAT ": no end of the reset in %u ms (status %#x); only a "
                     "power cycle may help",
                     BDF_ARGS(transport->bdf), RESET_LIMIT_US / 1000, value);
            return STATUS_NOTE(STATUS_TIMEOUT);
        }
        value = status_read(transport);
    }
    return STATUS_OK;
}

uint64_t virtio_transport_offered(const struct virtio_transport *transport)
{
    uint64_t features = 0;

    for (uint32_t word = 0; word < 2; word++) {
        virtio_common_write(transport, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 4, word);
        features |= (uint64_t)virtio_common_read(transport, VIRTIO_COMMON_DEVICE_FEATURE, 4)
                    << 32 * word;
    }
    return features;
}

enum status virtio_transport_negotiate(struct virtio_transport *transport, uint64_t needed,
                                       uint64_t wanted)
{
    uint64_t offered;
    uint32_t value;

    status_write(transport, VIRTIO_STATUS_ACKNOWLEDGE);
    status_write(transport, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    offered = virtio_transport_offered(transport);
    if ((offered & needed) != needed) {
        log_warn("virtio " BDF_FORMAT ": offers the features %#lx, not all of %#lx; it is too old "
                 "for the VMM",
                 BDF_ARGS(transport->bdf), offered, needed);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    transport->features = offered & (needed | wanted);
    if ((transport->features & VIRTIO_F_ADMIN_VQ) == 0) {
        transport->features &= ~VIRTIO_F_MIGRATION; /* it is about that queue */
    }
    if ((transport->features & VIRTIO_F_MIGRATION) == 0) {
        transport->features &= ~VIRTIO_F_TRACK_ALL; /* they mean something only beside it */
    }
    for (uint32_t word = 0; word < 2; word++) {
        virtio_common_write(transport, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, word);
        virtio_common_write(transport, VIRTIO_COMMON_DRIVER_FEATURE, 4,
                            (uint32_t)(transport->features >> 32 * word));
    }
    status_write(transport,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    value = status_read(transport);
    if ((value & VIRTIO_STATUS_FEATURES_OK) == 0) {
        log_warn("virtio " BDF_FORMAT ": refuses the features %#lx of %#lx (status %#x)",
                 BDF_ARGS(transport->bdf), transport->features, offered, value);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

enum status virtio_transport_start(const struct virtio_transport *transport)
{
    status_write(transport, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
    if (!virtio_transport_alive(transport) ||
        (status_read(transport) & VIRTIO_STATUS_DRIVER_OK) == 0) {
        log_warn("virtio " BDF_FORMAT ": does not start (status %#x)", BDF_ARGS(transport->bdf),
                 status_read(transport));
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

bool virtio_transport_alive(const struct virtio_transport *transport)
{
    /* All ones have the bit too. */
    return (status_read(transport) & VIRTIO_STATUS_NEEDS_RESET) == 0;
}

enum status virtio_transport_config(const struct virtio_transport *transport, uint32_t offset,
                                    unsigned unit, unsigned count, void *buffer)
{
    uint8_t *to = buffer;

    if (offset % unit != 0 ||
        !range_fits(offset, (uint64_t)unit * count, transport->device_length)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (unsigned i = 0; i < GENERATIONS_MAX; i++) {
        uint32_t before = virtio_common_read(transport, VIRTIO_COMMON_GENERATION, 1);

        for (unsigned field = 0; field < count; field++) {
            const uint8_t *from = transport->device + offset + (uint64_t)field * unit;
            uint32_t value = mmio_read(from, unit);

            memcpy(to + (size_t)field * unit, &value, unit);
        }
        if (virtio_common_read(transport, VIRTIO_COMMON_GENERATION, 1) == before) {
            return STATUS_OK;
        }
    }
    log_warn("virtio " BDF_FORMAT ": the device configuration changes all the time",
             BDF_ARGS(transport->bdf));
    return STATUS_NOTE(STATUS_DEVICE);
}
