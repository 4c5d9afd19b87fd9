/* SPDX-License-Identifier: BSD-2-Clause */
/* The SR-IOV capability of a physical function. PCI Express Base 6.0, section 9.3.3. */
#ifndef PORTOLAN_DRIVERS_PCI_SRIOV_H
#define PORTOLAN_DRIVERS_PCI_SRIOV_H

#include "drivers/pci/function.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* Registers, relative to the capability. */
enum pci_sriov_register {
    PCI_SRIOV_CONTROL = 0x08,
    PCI_SRIOV_INITIAL_VFS = 0x0c,
    PCI_SRIOV_TOTAL_VFS = 0x0e,
    PCI_SRIOV_NUM_VFS = 0x10,
    PCI_SRIOV_FIRST_OFFSET = 0x14,
    PCI_SRIOV_STRIDE = 0x16,
    PCI_SRIOV_VF_DEVICE = 0x1a,
    PCI_SRIOV_PAGE_SIZES = 0x1c,
    PCI_SRIOV_PAGE_SIZE = 0x20,
    PCI_SRIOV_BAR0 = 0x24
};

#define PCI_SRIOV_CONTROL_ENABLE 0x0001U /* VF Enable */
#define PCI_SRIOV_CONTROL_MEMORY 0x0008U /* VF memory space enable */
#define PCI_SRIOV_CONTROL_ARI    0x0010U /* ARI capable hierarchy */

struct pci_sriov {
    uint16_t capability; /* its offset */
    uint16_t total_vfs;
    uint16_t initial_vfs;
    uint16_t num_vfs;
    uint16_t first_offset; /* routing id of VF 1 - that of the PF; depends on NumVFs and ARI */
    uint16_t stride;       /* from one VF to the next */
    uint16_t vf_device;    /* PCI device id of the VFs (their vendor id is the PF's) */
    bool enabled;          /* VFs are on */
    uint32_t page_sizes;   /* supported: bit n is 4096 << n bytes */
    uint32_t page_size;    /* the one in use, same encoding */
    struct pci_bar bars[PCI_BARS_MAX];
};

/*
 * Read the capability at offset CAPABILITY of PF into *SRIOV. DEVICE, with a warning, when the
 * numbers contradict each other (NumVFs or InitialVFs above TotalVFs, VFs on with no stride) or
 * the function is gone.
 */
enum status pci_sriov_read(bdf_t pf, uint16_t capability, struct pci_sriov *sriov);

/*
 * The address of VF INDEX (0..num_vfs - 1) of PF, by the present offset and stride, in *VF. It may
 * lie on a later bus. RANGE when it would lie beyond bus 255 or be no function of its own.
 */
enum status pci_sriov_vf(bdf_t pf, const struct pci_sriov *sriov, uint32_t index, bdf_t *vf);

#endif
