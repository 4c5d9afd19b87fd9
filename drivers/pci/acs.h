/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access Control Services: that requests of one function to another go up to the IOMMU first, and
 * are not let through by a port on the way. PCI Express Base 6.0, sections 6.12 and 7.7.11.
 */
#ifndef PORTOLAN_DRIVERS_PCI_ACS_H
#define PORTOLAN_DRIVERS_PCI_ACS_H

#include "drivers/pci/function.h"
#include "vmm/base/types.h"

/* The registers of the capability, and bits of both. */
#define PCI_ACS_CAPS        0x04U
#define PCI_ACS_CONTROL     0x06U
#define PCI_ACS_VALIDATE    0x0001U /* requester ids of what is below the port, and no others */
#define PCI_ACS_TRANSLATION 0x0002U /* requests that claim to be translated are blocked */
#define PCI_ACS_REQUESTS    0x0004U /* from function to function: redirected upwards */
#define PCI_ACS_COMPLETIONS 0x0008U /* likewise */
#define PCI_ACS_FORWARD     0x0010U /* upwards what came up, though its target is below */
#define PCI_ACS_EGRESS      0x0020U /* exceptions by port or function */
#define PCI_ACS_DIRECT      0x0040U /* translated requests go directly */

/*
 * Switch it on in all functions of the list that have it, and say in the log how many ports that
 * are. One that does not take it is said, and counts as one without. Boot CPU, once, after
 * pci_scan() and before any function does DMA.
 */
void pci_acs_init(void);

/*
 * Switch it on in BDF, whose capability is at ACS; 0: it has none. After a reset. False: BDF does
 * not take all that it offers.
 */
bool pci_acs_set(bdf_t bdf, uint16_t acs);

/*
 * Did the function at BDF of the list, no port, not take it? Then its requests, and those of its
 * VFs, may get to other functions of its device unseen. Any CPU, after pci_acs_init().
 */
bool pci_acs_leaks(bdf_t bdf);

/* Are ONE and OTHER, both PFs or the like, functions of one device? */
bool pci_acs_same_device(bdf_t one, bdf_t other);

/*
 * The port or bridge on the way from BDF, which may be a VF, to the root that lets requests past
 * the IOMMU; the one nearest to BDF. NULL: none does. Any CPU, after pci_acs_init().
 */
const struct pci_function *pci_acs_gap(bdf_t bdf);

/* Can a request of FROM get to TO through one of those, unseen by the IOMMU? Any CPU. */
bool pci_acs_reaches(bdf_t from, bdf_t to);

#endif
