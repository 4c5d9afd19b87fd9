/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends the DMA of devices that the firmware has used: they do not know the memory's new owner. */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_MB2_PCI_H
#define PORTOLAN_BOOT_MULTIBOOT2_MB2_PCI_H

/*
 * Clear Bus Master Enable in every PCI-to-PCI bridge and in every function but screens and serial
 * ports, through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2); nothing on a machine that lacks them.
 */
void pci_quiesce(void);

#endif
