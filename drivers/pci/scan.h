/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All PCI functions of the machine.
 *
 * Bus numbers are taken as firmware programmed them. VFs are not in the list: they do not answer
 * with a vendor id, and are found through their PF (drivers/pci/sriov.h).
 */
#ifndef PORTOLAN_DRIVERS_PCI_SCAN_H
#define PORTOLAN_DRIVERS_PCI_SCAN_H

#include "drivers/pci/function.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_FUNCTIONS_MAX 2048U

/*
 * Walk every bus that pci_config_init() knows and list what is there, each bus below its bridge
 * before the next; buses with functions stay open. NO_MEMORY when there are more functions than fit
 * (those that fit are listed), NOT_FOUND when there are none. Boot CPU; cost linear in buses.
 */
enum status pci_scan(void);

/* The list: pci_count() functions, sorted by segment, bus and devfn. Constant after the scan. */
uint32_t pci_count(void);
const struct pci_function *pci_function_at(uint32_t index);

/* The function at BDF, NULL when there is none. Logarithmic. */
const struct pci_function *pci_find(bdf_t bdf);

/*
 * The innermost bridge that forwards BUS, which need not be the bridge's secondary bus: VFs may
 * lie on later ones. NULL: it is a root bus. One pass over pci_scan()'s list.
 */
const struct pci_function *pci_upstream(uint16_t segment, uint8_t bus);

#endif
