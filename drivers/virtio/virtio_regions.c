/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a virtio function has its registers: ordinary and extended vendor capabilities. */
#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "drivers/virtio/device.h"
#include "vmm/base/log.h"

/* struct virtio_pci_cap, virtio 1.3, section 4.1.4. */
enum {
    CAP_LENGTH = 2,
    CAP_TYPE = 3,
    CAP_BAR = 4,
    CAP_OFFSET = 8,
    CAP_REGION_LENGTH = 12,
    CAP_SIZE = 16,
    CAP_MULTIPLIER = 16,
    CAP_NOTIFY_SIZE = 20
};

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };

/* The header of a VSEC, PCI Express Base 6.0, section 7.9.5. */
#define VSEC_HEADER       0x04U
#define VSEC_LENGTH_SHIFT 20

/* Where the two layouts of the MMR capability have their fields, from the capability's start. */
struct mmr_fields {
    uint8_t layout;
    uint8_t type;
    uint8_t bar;
    uint8_t offset;
    uint8_t length;
    uint8_t size; /* of the whole capability */
};

static const struct mmr_fields mmr_layouts[] = {
    {.layout = VIRTIO_MMR_A, .type = 8,  .bar = 9,  .offset = 12, .length = 16, .size = 20},
    {.layout = VIRTIO_MMR_B, .type = 11, .bar = 12, .offset = 16, .length = 20, .size = 24},
};

/* Can there be such a region? BAR_SIZE 0: the BAR's size is not known. */
static bool region_sound(const struct virtio_region *region, uint64_t bar_size)
{
    uint64_t limit = bar_size != 0 ? bar_size : 1ULL << 32;

    return region->bar < PCI_BARS_MAX && region->length > 0 &&
           range_fits(region->offset, region->length, limit);
}

static struct virtio_region *region_of(struct virtio_regions *regions, uint32_t type)
{
    switch (type) {
    case CFG_COMMON:
        return &regions->common;
    case CFG_NOTIFY:
        return &regions->notify;
    case CFG_ISR:
        return &regions->isr;
    case CFG_DEVICE:
        return &regions->device;
    default:
        return NULL; /* kinds that the VMM has no use for */
    }
}

static void read_capability(bdf_t bdf, uint16_t offset, struct virtio_regions *regions)
{
    uint32_t size = pci_config_read(bdf, offset + CAP_LENGTH, 1);
    uint32_t type = pci_config_read(bdf, offset + CAP_TYPE, 1);
    struct virtio_region *wanted = region_of(regions, type);
    struct virtio_region region;

    if (wanted == NULL || wanted->length != 0) {
        return; /* the first usable one of its kind counts (section 4.1.4.1) */
    }
    region = (struct virtio_region){.bar = (uint8_t)pci_config_read(bdf, offset + CAP_BAR, 1),
                                    .offset = pci_config_read(bdf, offset + CAP_OFFSET, 4),
                                    .length = pci_config_read(bdf, offset + CAP_REGION_LENGTH, 4)};
    if (size < (type == CFG_NOTIFY ? CAP_NOTIFY_SIZE : CAP_SIZE) ||
        !range_fits(offset, size, PCI_CONFIG_SIZE) || !region_sound(&region, 0)) {
        log_warn("virtio " BDF_FORMAT ": capability of type %u at %#x makes no sense (length %u, "
                 "BAR %u, %u bytes at %#x); left out",
                 BDF_ARGS(bdf), type, offset, size, region.bar, region.length, region.offset);
        return;
    }
    *wanted = region;
    if (type == CFG_NOTIFY) {
        regions->notify_multiplier = pci_config_read(bdf, offset + CAP_MULTIPLIER, 4);
    }
}

void virtio_regions_read(bdf_t bdf, struct virtio_regions *regions)
{
    struct pci_cap_walk walk = pci_cap_walk(bdf);
    struct pci_cap cap;

    *regions = (struct virtio_regions){0};
    while (pci_cap_next(&walk, &cap)) {
        if (cap.id == PCI_CAP_VENDOR) {
            read_capability(bdf, cap.offset, regions);
        }
    }
}

/* Read the VSEC at OFFSET by one layout. NOT_FOUND: it is no MMR capability of that layout. */
static enum status mmr_read(bdf_t bdf, uint16_t offset, const struct mmr_fields *fields,
                            const uint64_t *bar_sizes, struct virtio_mmr *mmr)
{
    uint32_t size = pci_config_read(bdf, offset + VSEC_HEADER, 4) >> VSEC_LENGTH_SHIFT;
    struct virtio_region region;

    if (size < fields->size || !range_fits(offset, size, PCI_CONFIG_SIZE_EXTENDED) ||
        pci_config_read(bdf, offset + fields->type, 1) != VIRTIO_CFG_LEGACY_MMR) {
        return STATUS_NOT_FOUND;
    }
    region = (struct virtio_region){.bar = (uint8_t)pci_config_read(bdf, offset + fields->bar, 1),
                                    .offset = pci_config_read(bdf, offset + fields->offset, 4),
                                    .length = pci_config_read(bdf, offset + fields->length, 4)};
    *mmr = (struct virtio_mmr){.region = region, .capability = offset, .layout = fields->layout};
    if (region.bar >= PCI_BARS_MAX || region.length < VIRTIO_LEGACY_HEADER ||
        !region_sound(&region, bar_sizes != NULL ? bar_sizes[region.bar] : 0)) {
        return STATUS_DEVICE;
    }
    return STATUS_OK;
}

enum status virtio_mmr_find(bdf_t bdf, const uint64_t *bar_sizes, struct virtio_mmr *mmr)
{
    struct pci_cap_walk walk = pci_cap_walk_extended(bdf);
    struct virtio_mmr bad = {0};
    struct pci_cap cap;

    while (pci_cap_next(&walk, &cap)) {
        for (unsigned i = 0; cap.id == PCI_EXT_CAP_VENDOR && i < ARRAY_SIZE(mmr_layouts); i++) {
            enum status status = mmr_read(bdf, cap.offset, &mmr_layouts[i], bar_sizes, mmr);

            if (status == STATUS_OK) {
                return STATUS_OK;
            }
            if (status == STATUS_DEVICE) {
                bad = *mmr;
            }
        }
    }
    *mmr = (struct virtio_mmr){0};
    if (bad.layout == VIRTIO_MMR_NONE) {
        return STATUS_NOT_FOUND;
    }
    log_warn("virtio " BDF_FORMAT ": the MMR capability at %#x makes no sense (BAR %u, %u bytes at "
             "%#x); the function cannot be shown to old drivers",
             BDF_ARGS(bdf), bad.capability, bad.region.bar, bad.region.length, bad.region.offset);
    return STATUS_NOTE(STATUS_DEVICE);
}
