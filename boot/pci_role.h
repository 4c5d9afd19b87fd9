/* SPDX-License-Identifier: BSD-2-Clause */
/* Which PCI functions a loader stops before it hands the machine over, and how. */
#ifndef PORTOLAN_BOOT_PCI_ROLE_H
#define PORTOLAN_BOOT_PCI_ROLE_H

#include <stdbool.h>
#include <stdint.h>

/* PCI 3.0, 6.1: registers of every function. */
#define PCI_ROLE_COMMAND 0x04    /* 16 bits */
#define PCI_ROLE_CLASS   0x08    /* class << 24 | subclass << 16 | interface << 8 | revision */
#define PCI_ROLE_MASTER  0x0004U /* in the command register: may do DMA */

enum pci_role {
    PCI_ROLE_ENDPOINT, /* may do DMA: its driver goes */
    PCI_ROLE_CONSOLE, /* a driver that lets go of a screen or a UART may switch its registers off */
    PCI_ROLE_BRIDGE,  /* to PCI: passes on what lies behind it */
    PCI_ROLE_OTHER    /* host and ISA bridges: their drivers have no DMA */
};

/* The role of a function whose register PCI_ROLE_CLASS is CLASS (PCI 3.0, appendix D). */
enum pci_role pci_role_of_class(uint32_t class);

/* Is PCI_ROLE_MASTER cleared in functions of ROLE? */
static inline bool pci_role_is_stopped(enum pci_role role)
{
    return role == PCI_ROLE_BRIDGE || role == PCI_ROLE_ENDPOINT;
}

#endif
