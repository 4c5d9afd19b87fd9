/* SPDX-License-Identifier: BSD-2-Clause */
/* What a virtio function is, by its PCI ids. */
#include "drivers/virtio/device.h"

/* Types by PCI device id, from VIRTIO_DEVICE_TRANSITIONAL_FIRST. Virtio 1.3, section 4.1.2.1. */
static const uint8_t transitional_types[] = {
    [0] = VIRTIO_TYPE_NET,     [1] = VIRTIO_TYPE_BLOCK, [2] = VIRTIO_TYPE_BALLOON,
    [3] = VIRTIO_TYPE_CONSOLE, [4] = VIRTIO_TYPE_SCSI,  [5] = VIRTIO_TYPE_ENTROPY,
    [9] = VIRTIO_TYPE_9P,
};

/* Types from VIRTIO_MMR_DEVICE_FIRST: the transitional ones in the same order. */
static const uint8_t mmr_types[] = {VIRTIO_TYPE_NET,     VIRTIO_TYPE_BLOCK, VIRTIO_TYPE_BALLOON,
                                    VIRTIO_TYPE_CONSOLE, VIRTIO_TYPE_SCSI,  VIRTIO_TYPE_ENTROPY,
                                    VIRTIO_TYPE_9P};

static const char *const type_names[] = {
    [VIRTIO_TYPE_NET] = "net",         [VIRTIO_TYPE_BLOCK] = "block",
    [VIRTIO_TYPE_CONSOLE] = "console", [VIRTIO_TYPE_ENTROPY] = "entropy",
    [VIRTIO_TYPE_BALLOON] = "balloon", [VIRTIO_TYPE_SCSI] = "scsi",
    [VIRTIO_TYPE_9P] = "9p",
};

uint16_t virtio_type_of(uint16_t pci_device)
{
    if (pci_device >= VIRTIO_DEVICE_MODERN_FIRST && pci_device <= VIRTIO_DEVICE_MODERN_LAST) {
        return (uint16_t)(pci_device - VIRTIO_DEVICE_MODERN_FIRST);
    }
    if (pci_device >= VIRTIO_MMR_DEVICE_FIRST && pci_device <= VIRTIO_MMR_DEVICE_LAST) {
        return mmr_types[pci_device - VIRTIO_MMR_DEVICE_FIRST];
    }
    if (pci_device >= VIRTIO_DEVICE_TRANSITIONAL_FIRST &&
        pci_device - VIRTIO_DEVICE_TRANSITIONAL_FIRST < ARRAY_SIZE(transitional_types)) {
        return transitional_types[pci_device - VIRTIO_DEVICE_TRANSITIONAL_FIRST];
    }
    return VIRTIO_TYPE_NONE;
}

uint16_t virtio_type_resolve(uint16_t pci_device, uint16_t subsystem)
{
    bool modern =
        pci_device >= VIRTIO_DEVICE_MODERN_FIRST && pci_device <= VIRTIO_DEVICE_MODERN_LAST;

    /* A transitional device's subsystem id is its type; a modern one's is any number. */
    if (!modern && subsystem > 0 &&
        subsystem <= VIRTIO_DEVICE_MODERN_LAST - VIRTIO_DEVICE_MODERN_FIRST) {
        return subsystem;
    }
    return virtio_type_of(pci_device);
}

const char *virtio_type_name(uint16_t type)
{
    return type < ARRAY_SIZE(type_names) ? type_names[type] : NULL;
}
