/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where memory BARs are, and room for more: the VMM places VF BARs itself when firmware did not.
 *
 * Nothing that has an address is moved. A bridge's window grows where what is beside it is free all
 * the way up to the root bus; otherwise the request is refused, and the log says what to change.
 * All of it: boot CPU, after pci_scan().
 */
#ifndef PORTOLAN_DRIVERS_PCI_ROOM_H
#define PORTOLAN_DRIVERS_PCI_ROOM_H

#include "drivers/pci/function.h"
#include "vmm/base/log.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_ROOM_ENTRIES_MAX 4096U

/* What of a function has the addresses. */
enum pci_room_slot {
    PCI_ROOM_BAR = 0, /* + 0..5 */
    PCI_ROOM_ROM = 6,
    PCI_ROOM_VF_BAR = 7,  /* + 0..5: those of all VFs of a PF together */
    PCI_ROOM_WINDOW = 13, /* + enum pci_window_kind */
    PCI_ROOM_RESERVED = 15,
    PCI_ROOM_LISTED = 16 /* firmware's map has it, perhaps as a window: nothing grows over it */
};

/*
 * Size every BAR of every listed function and note who has which addresses. Each function's
 * decoding is off for a moment, but that of host bridges, whose BARs are not sized. NO_MEMORY, with
 * a warning, when there are more than fit: pci_room_assign() then refuses everything. Cost linear
 * in the functions.
 */
enum status pci_room_init(void);

/*
 * After pci_room_init(): [BASE, BASE + SIZE) is RAM or firmware's own, and nothing may be placed in
 * it; or, if it is only LISTED (reserved, device space), no window may grow into it. RANGE beyond
 * PCI_ADDRESS_LIMIT, NO_MEMORY for too many.
 */
enum status pci_room_reserve(hpa_t base, uint64_t size, bool listed);

/* The addresses of FUNCTION's SLOT. NOT_FOUND: it has none. 'size' 0: not to be used. */
enum status pci_room_find(const struct pci_function *function, uint32_t slot, hpa_t *base,
                          uint64_t *size);

/*
 * Addresses for SLOT of FUNCTION: TOTAL bytes (> 0, a multiple of bar->size), aligned to bar->size.
 * bar->base is kept when it is sound: in the windows of all bridges above, and nobody else's. Else
 * room is found, or made by growing windows. No register is written: when all slots have addresses,
 * pci_room_apply() grows the windows; when one has none, pci_room_forget() drops their growth.
 * NO_ROOM when there is none, NO_MEMORY when the list is full; what SLOT had is free then.
 */
enum status pci_room_assign(const struct pci_function *function, uint32_t slot,
                            const struct pci_bar *bar, uint64_t total, hpa_t *base);

/*
 * Let the bridges above FUNCTION forward what pci_room_assign() has found. DEVICE when one does not
 * take its window: those above it may have grown, and stay so.
 */
enum status pci_room_apply(const struct pci_function *function);

/* What the windows above FUNCTION were to grow by is free again. */
void pci_room_forget(const struct pci_function *function);

/*
 * Log at LEVEL why pci_room_assign() has just said NO_ROOM: bridge, need, what is free, remedy; if
 * FIT, the number of VFs is adjusted to the room anyway.
 */
void pci_room_explain(const struct pci_function *function, const struct pci_bar *bar,
                      uint64_t total, enum log_level level, bool fit);

/* SLOT of FUNCTION has no addresses any more. */
void pci_room_release(const struct pci_function *function, uint32_t slot);

#endif
