/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pci_role.h"

#define CLASS_DISPLAY     0x03U
#define CLASS_SIMPLE_COMM 0x07U
#define CLASS_BRIDGE      0x06U
#define SUBCLASS_SERIAL   0x00U
#define SUBCLASS_PCI      0x04U

enum pci_role pci_role_of_class(uint32_t class)
{
    uint32_t base = class >> 24;
    uint32_t sub = class >> 16 & 0xffU;

    if (base == CLASS_DISPLAY || (base == CLASS_SIMPLE_COMM && sub == SUBCLASS_SERIAL)) {
        return PCI_ROLE_CONSOLE;
    }
    if (base == CLASS_BRIDGE) {
        return sub == SUBCLASS_PCI ? PCI_ROLE_BRIDGE : PCI_ROLE_OTHER;
    }
    return PCI_ROLE_ENDPOINT;
}
