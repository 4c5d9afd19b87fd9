/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends the DMA of the firmware's drivers: nobody tells devices that the memory has a new owner. */
#ifndef PORTOLAN_BOOT_EFI_EFI_PCI_H
#define PORTOLAN_BOOT_EFI_EFI_PCI_H

#include "boot/efi/services.h"

/* The PCI functions that the firmware has drivers on. */
struct pci_handles {
    EFI_HANDLE *handles;
    UINTN count;
};

/* List them. None (with a message if that is odd) is no error: there is nothing to stop then. */
void pci_list(struct pci_handles *list);

/*
 * Disconnect drivers from all functions but bridges and screens, then clear Bus Master Enable
 * in PCI-to-PCI bridges and in what still has it of the others. From here on no file can be read
 * and the keyboard may be gone.
 */
void pci_quiesce(const struct pci_handles *list);

/* Give the functions back to their drivers, so that the firmware can go on after a failure. */
void pci_reconnect(const struct pci_handles *list);

#endif
