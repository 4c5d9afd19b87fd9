/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X of one function: its table, mapped uncached for the VMM alone. PCI Express
 * Base 6.0, sections 6.1.4 and 7.7.2.
 *
 * Calls for one table come from one CPU at a time. A vector that is not masked sends its message.
 */
#ifndef PORTOLAN_DRIVERS_PCI_MSIX_H
#define PORTOLAN_DRIVERS_PCI_MSIX_H

#include "drivers/pci/function.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_MSIX_ENTRY_SIZE 16U

struct pci_msix_table {
    bdf_t bdf;
    uint16_t capability;
    uint16_t vectors;
    uint8_t *table; /* mapped; NULL: not open */
};

/*
 * Do MSIX's table and pending bits lie in BARS (of PCI_BARS_MAX, with sizes and addresses), and
 * apart? DEVICE, with a warning, if not.
 */
enum status pci_msix_check(bdf_t bdf, const struct pci_msix *msix, const struct pci_bar *bars);

/*
 * Map the table of BDF, whose capability at CAPABILITY reads MSIX. DEVICE by pci_msix_check(),
 * NO_MEMORY when it cannot be mapped. Memory decoding must be on before the
 * table is used.
 */
enum status pci_msix_open(struct pci_msix_table *table, bdf_t bdf, uint16_t capability,
                          const struct pci_msix *msix, const struct pci_bar *bars);

/* Switch MSI-X off and unmap. */
void pci_msix_close(struct pci_msix_table *table);

/*
 * Switch MSI-X on with every vector masked. To be called again after a reset. DEVICE, with a
 * warning, when the function does not take it.
 */
enum status pci_msix_enable(const struct pci_msix_table *table);

/*
 * Let VECTOR send DATA to ADDRESS (a multiple of 4), and unmask it. It is masked while it changes:
 * no message mixes old and new (6.1.4.5). RANGE for a vector that is not there or a bad address.
 */
enum status pci_msix_set(const struct pci_msix_table *table, uint32_t vector, uint64_t address,
                         uint32_t data);

/* Mask or unmask VECTOR; done when it returns. A message due while masked is pending. */
enum status pci_msix_mask(const struct pci_msix_table *table, uint32_t vector, bool masked);

#endif
