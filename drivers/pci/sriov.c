/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/sriov.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"

/* What is wrong with the numbers, NULL: nothing. */
static const char *sriov_fault(const struct pci_sriov *sriov)
{
    if (sriov->page_sizes == 0xffffffffU) {
        return "the function answers all ones";
    }
    if (sriov->initial_vfs > sriov->total_vfs) {
        return "InitialVFs is above TotalVFs";
    }
    if (sriov->num_vfs > sriov->total_vfs) {
        return "NumVFs is above TotalVFs";
    }
    if (sriov->enabled && sriov->num_vfs > 0 && sriov->first_offset == 0) {
        return "VFs are on, with no offset to the first";
    }
    if (sriov->enabled && sriov->num_vfs > 1 && sriov->stride == 0) {
        return "several VFs are on, with no stride between them";
    }
    return NULL;
}

static uint16_t read16(bdf_t pf, uint16_t capability, enum pci_sriov_register offset)
{
    return (uint16_t)pci_config_read(pf, capability + (uint32_t)offset, 2);
}

enum status pci_sriov_read(bdf_t pf, uint16_t capability, struct pci_sriov *sriov)
{
    uint16_t control = read16(pf, capability, PCI_SRIOV_CONTROL);
    const char *fault;

    *sriov =
        (struct pci_sriov){.capability = capability,
                           .total_vfs = read16(pf, capability, PCI_SRIOV_TOTAL_VFS),
                           .initial_vfs = read16(pf, capability, PCI_SRIOV_INITIAL_VFS),
                           .num_vfs = read16(pf, capability, PCI_SRIOV_NUM_VFS),
                           .first_offset = read16(pf, capability, PCI_SRIOV_FIRST_OFFSET),
                           .stride = read16(pf, capability, PCI_SRIOV_STRIDE),
                           .vf_device = read16(pf, capability, PCI_SRIOV_VF_DEVICE),
                           .enabled = (control & PCI_SRIOV_CONTROL_ENABLE) != 0,
                           .page_sizes = pci_config_read(pf, capability + PCI_SRIOV_PAGE_SIZES, 4),
                           .page_size = pci_config_read(pf, capability + PCI_SRIOV_PAGE_SIZE, 4)};
    pci_bars_read(pf, capability + PCI_SRIOV_BAR0, PCI_BARS_MAX, sriov->bars);
    fault = sriov_fault(sriov);
    if (fault != NULL) {
        log_warn("PCI " BDF_FORMAT ": SR-IOV: %s; the device's VFs are not used", BDF_ARGS(pf),
                 fault);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

enum status pci_sriov_vf(bdf_t pf, const struct pci_sriov *sriov, uint32_t index, bdf_t *vf)
{
    uint32_t pf_id = (uint32_t)pf.bus << 8 | pf.devfn;
    uint64_t id = pf_id + sriov->first_offset + (uint64_t)index * sriov->stride;

    if (index >= sriov->num_vfs || id > 0xffff || id == pf_id) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    *vf = (bdf_t){.segment = pf.segment, .bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id};
    return STATUS_OK;
}
