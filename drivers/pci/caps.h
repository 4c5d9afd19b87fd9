/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capability lists of a PCI function. PCI Express Base 6.0, sections 7.5.1.1.11 and 7.6.3.
 *
 *   struct pci_cap_walk walk = pci_cap_walk(bdf);
 *   struct pci_cap cap;
 *   while (pci_cap_next(&walk, &cap)) ...
 */
#ifndef PORTOLAN_DRIVERS_PCI_CAPS_H
#define PORTOLAN_DRIVERS_PCI_CAPS_H

#include "vmm/base/types.h"

enum pci_cap_id {
    PCI_CAP_MSI = 0x05,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_IOMMU = 0x0f, /* 'secure device': AMD's IOMMU */
    PCI_CAP_EXPRESS = 0x10,
    PCI_CAP_MSIX = 0x11,
    PCI_CAP_AF = 0x13 /* advanced features: FLR of conventional PCI functions */
};

enum pci_ext_cap_id {
    PCI_EXT_CAP_VENDOR = 0x000b, /* VSEC */
    PCI_EXT_CAP_ACS = 0x000d,
    PCI_EXT_CAP_ARI = 0x000e,
    PCI_EXT_CAP_ATS = 0x000f,
    PCI_EXT_CAP_SRIOV = 0x0010
};

struct pci_cap {
    uint16_t id;
    uint16_t offset;
    uint8_t version; /* extended capabilities only, else 0 */
};

/* Where a walk stands; private to caps.c. */
struct pci_cap_walk {
    bdf_t bdf;
    bool extended;
    uint16_t next;
    uint64_t seen[PAGE_SIZE / 4 / 64]; /* a bit for each dword that held a capability */
};

/* Start on the capabilities below 100h, or on the extended ones; empty lists are fine. */
struct pci_cap_walk pci_cap_walk(bdf_t bdf);
struct pci_cap_walk pci_cap_walk_extended(bdf_t bdf);

/*
 * The next capability, or false at the end. A list that leaves its area or comes back to where it
 * was ends there, with a warning. Reads configuration space.
 */
bool pci_cap_next(struct pci_cap_walk *walk, struct pci_cap *cap);

/* Offset of the first capability ID, 0 when there is none. */
uint16_t pci_cap_find(bdf_t bdf, enum pci_cap_id id);
uint16_t pci_cap_find_extended(bdf_t bdf, enum pci_ext_cap_id id);

#endif
