/* SPDX-License-Identifier: BSD-2-Clause */
/* The list behind drivers/pci/room.h; for room.c and room_find.c alone. */
#ifndef PORTOLAN_DRIVERS_PCI_ROOM_ENTRIES_H
#define PORTOLAN_DRIVERS_PCI_ROOM_ENTRIES_H

#include "drivers/pci/function.h"
#include "drivers/pci/room.h"
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

/* What is known; only room.c changes it. */
extern struct pci_room {
    struct pci_room_entry entries[PCI_ROOM_ENTRIES_MAX]; /* sorted by base */
    uint32_t entry_count;
    uint32_t root_buses; /* where it is one it is the chipset's, which forwards what nobody has */
    bool complete;       /* the list is whole */
} pci_room;

/* Give SLOT of OWNER the range; what it had is forgotten. SIZE 0: it has none. */
enum status pci_room_entry_set(uint16_t owner, uint8_t slot, uint64_t base, uint64_t size);

/* The index of FUNCTION in pci_scan()'s list. */
uint16_t pci_room_owner(const struct pci_function *function);

#endif
