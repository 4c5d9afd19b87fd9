/* SPDX-License-Identifier: BSD-2-Clause */
/* The list behind drivers/pci/room.h; for room.c and room_find.c alone. */
#ifndef PORTOLAN_DRIVERS_PCI_ROOM_ENTRIES_H
#define PORTOLAN_DRIVERS_PCI_ROOM_ENTRIES_H

#include "drivers/pci/function.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_ROOM_NOBODY 0xffffU

struct pci_room_entry {
    uint64_t base;
    uint64_t size;  /* > 0; base + size does not wrap */
    uint16_t owner; /* index in pci_scan()'s list, or NOBODY */
    uint8_t slot;   /* enum pci_room_slot */
    bool root;      /* the owner is on a root bus */
};

/* The entries, sorted by base. */
uint32_t pci_room_entry_count(void);
const struct pci_room_entry *pci_room_entry_at(uint32_t index);

/* Give SLOT of OWNER the range; what it had is forgotten. SIZE 0: it has none. */
enum status pci_room_entry_set(uint16_t owner, uint8_t slot, uint64_t base, uint64_t size);

/* Has the machine a single root bus? Then it is the chipset's, which forwards what nobody has. */
bool pci_room_single_root(void);

/* Is the list whole? */
bool pci_room_complete(void);

/* The index of FUNCTION in pci_scan()'s list. */
uint16_t pci_room_owner(const struct pci_function *function);

#endif
