/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/device.h"

#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

static struct virtio_function functions[VIRTIO_FUNCTIONS_MAX];
static uint32_t function_count;

/* Does the function have virtio's vendor and an id of virtio's range? */
static bool is_virtio(const struct pci_function *pci)
{
    return pci->vendor == VIRTIO_VENDOR && pci->header == PCI_HEADER_DEVICE &&
           ((pci->device >= VIRTIO_DEVICE_TRANSITIONAL_FIRST &&
             pci->device <= VIRTIO_DEVICE_MODERN_LAST) ||
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
                                         .modern = pci->device >= VIRTIO_DEVICE_MODERN_FIRST &&
                                                   pci->device <= VIRTIO_DEVICE_MODERN_LAST};
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
