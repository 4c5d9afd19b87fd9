/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a PCI-to-PCI bridge passes on: memory windows downwards, DMA upwards. PCI Express Base 6.0,
 * sections 7.5.1.1.3 and 7.5.1.3; PCI-to-PCI Bridge Architecture 1.2, section 3.2.5.
 */
#ifndef PORTOLAN_DRIVERS_PCI_BRIDGE_H
#define PORTOLAN_DRIVERS_PCI_BRIDGE_H

#include "drivers/pci/function.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_WINDOW_GRANULE (1ULL << 20)

enum pci_window_kind { PCI_WINDOW_MEMORY, PCI_WINDOW_PREFETCHABLE, PCI_WINDOWS };

struct pci_window {
    uint64_t base; /* a multiple of the granule; base + size is at most 2^52 */
    uint64_t size; /* likewise; 0: closed */
    bool wide;     /* may lie above 4 GiB */
    bool fixed;    /* cannot be changed: no such window, or nothing that makes sense is in it */
};

/* Read BRIDGE's window of KIND. Only reads. */
struct pci_window pci_window_read(const struct pci_function *bridge, enum pci_window_kind kind);

/*
 * Let BRIDGE's window of KIND be [BASE, BASE + SIZE), whole granules, which must include what the
 * window is now: what it forwards is forwarded at every moment. DEVICE, with a warning and the
 * window as before, when the registers do not take it; UNSUPPORTED for a fixed window. Boot CPU.
 */
enum status pci_window_grow(const struct pci_function *bridge, enum pci_window_kind kind,
                            uint64_t base, uint64_t size);

/*
 * Leave to do DMA: Bus Master Enable of a function and of all bridges above it. The boot loader has
 * cleared the bit everywhere. A bridge has it while somebody below needs it. Callers take turns:
 * one CPU at a time.
 */

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
