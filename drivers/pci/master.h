/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leave to do DMA: Bus Master Enable of a function and of all bridges above it. PCI Express Base
 * 6.0, sections 7.5.1.1.3 and 7.5.1.3.
 *
 * The boot loader has cleared the bit everywhere. A bridge has it while somebody below needs it.
 * Callers take turns: one CPU at a time.
 */
#ifndef PORTOLAN_DRIVERS_PCI_MASTER_H
#define PORTOLAN_DRIVERS_PCI_MASTER_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* One function's hold on its bridges; starts as zeros, and belongs to whoever uses the function. */
struct pci_master {
    bool held;
};

/*
 * Let BDF, a listed function or a VF, do DMA and send MSIs. May be called again after a reset has
 * cleared the bit. DEVICE, with a warning and nothing changed, when a bit does not stick.
 */
enum status pci_master_acquire(struct pci_master *master, bdf_t bdf);

/*
 * Forbid it again: at once for BDF, and for the bridges that nobody else needs, unless they had the
 * bit before. No effect if not held.
 */
void pci_master_release(struct pci_master *master, bdf_t bdf);

#endif
