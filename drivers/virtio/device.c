/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/device.h"

#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

#define DEVICE_TRANSITIONAL_FIRST 0x1000U
#define DEVICE_MODERN_FIRST       0x1040U
#define DEVICE_MODERN_LAST        0x107fU

/* Types by PCI device id, from DEVICE_TRANSITIONAL_FIRST. Virtio 1.3, section 4.1.2.1. */
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

static struct virtio_function functions[VIRTIO_FUNCTIONS_MAX];
static uint32_t function_count;

uint16_t virtio_type_of(uint16_t pci_device)
{
    if (pci_device >= DEVICE_MODERN_FIRST && pci_device <= DEVICE_MODERN_LAST) {
        return (uint16_t)(pci_device - DEVICE_MODERN_FIRST);
    }
    if (pci_device >= VIRTIO_MMR_DEVICE_FIRST && pci_device <= VIRTIO_MMR_DEVICE_LAST) {
        return mmr_types[pci_device - VIRTIO_MMR_DEVICE_FIRST];
    }
    if (pci_device >= DEVICE_TRANSITIONAL_FIRST &&
        pci_device - DEVICE_TRANSITIONAL_FIRST < ARRAY_SIZE(transitional_types)) {
        return transitional_types[pci_device - DEVICE_TRANSITIONAL_FIRST];
    }
    return VIRTIO_TYPE_NONE;
}

uint16_t virtio_type_resolve(uint16_t pci_device, uint16_t subsystem)
{
    bool modern = pci_device >= DEVICE_MODERN_FIRST && pci_device <= DEVICE_MODERN_LAST;

    /* A transitional device's subsystem id is its type; a modern one's is any number. */
    if (!modern && subsystem > 0 && subsystem <= DEVICE_MODERN_LAST - DEVICE_MODERN_FIRST) {
        return subsystem;
    }
    return virtio_type_of(pci_device);
}

const char *virtio_type_name(uint16_t type)
{
    return type < ARRAY_SIZE(type_names) ? type_names[type] : NULL;
}

/* Does the function have virtio's vendor and an id of virtio's range? */
static bool is_virtio(const struct pci_function *pci)
{
    return pci->vendor == VIRTIO_VENDOR && pci->header == PCI_HEADER_DEVICE &&
           ((pci->device >= DEVICE_TRANSITIONAL_FIRST && pci->device <= DEVICE_MODERN_LAST) ||
            (pci->device >= VIRTIO_MMR_DEVICE_FIRST && pci->device <= VIRTIO_MMR_DEVICE_LAST));
}

/* Look at the VFs that are on already: firmware or a system before us may have left them so. */
static void discover_vfs(struct virtio_function *function)
{
    for (uint32_t i = 0; i < function->sriov.num_vfs; i++) {
        struct virtio_mmr mmr;
        bdf_t vf;

        if (pci_sriov_vf(function->pci->bdf, &function->sriov, i, &vf) != STATUS_OK ||
            pci_config_open(vf.segment, vf.bus) != STATUS_OK) {
            log_warn("virtio " BDF_FORMAT ": VF %u and those after it cannot be reached",
                     BDF_ARGS(function->pci->bdf), i);
            return;
        }
        function->vfs_seen++;
        if (virtio_mmr_find(vf, NULL, &mmr) == STATUS_OK) {
            if (function->vfs_mmr++ == 0) {
                function->vf_mmr = mmr;
            }
        }
    }
}

static void discover(const struct pci_function *pci, struct virtio_function *function)
{
    *function = (struct virtio_function){.pci = pci,
                                         .type = virtio_type_resolve(pci->device, pci->subsystem),
                                         .modern = pci->device >= DEVICE_MODERN_FIRST &&
                                                   pci->device <= DEVICE_MODERN_LAST};
    virtio_regions_read(pci->bdf, &function->regions);
    function->complete = function->regions.common.length > 0 && function->regions.notify.length > 0;
    if (virtio_mmr_find(pci->bdf, NULL, &function->mmr) != STATUS_OK) {
        function->mmr.layout = VIRTIO_MMR_NONE;
    }
    if (pci->sriov != 0 && pci_sriov_read(pci->bdf, pci->sriov, &function->sriov) == STATUS_OK) {
        function->has_sriov = true;
        if (function->sriov.enabled) {
            discover_vfs(function);
        }
    }
}

enum status virtio_discover(void)
{
    function_count = 0;
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *pci = pci_function_at(i);

        if (!is_virtio(pci)) {
            continue;
        }
        if (function_count == VIRTIO_FUNCTIONS_MAX) {
            log_warn("virtio: more than %u functions; those from " BDF_FORMAT " on are not used",
                     VIRTIO_FUNCTIONS_MAX, BDF_ARGS(pci->bdf));
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        discover(pci, &functions[function_count++]);
    }
    return STATUS_OK;
}

uint32_t virtio_count(void)
{
    return function_count;
}

const struct virtio_function *virtio_function_at(uint32_t index)
{
    return index < function_count ? &functions[index] : NULL;
}
