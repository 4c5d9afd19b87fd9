/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/pci.h"

#include "boot/efi/console.h"

#include <efipciio.h>
#include <stdint.h>

/* PCI 3.0, 6.1 and appendix D. */
#define CONFIG_COMMAND    0x04
#define CONFIG_CLASS      0x08 /* class << 24 | subclass << 16 | interface << 8 | revision */
#define COMMAND_MASTER    0x0004U
#define CLASS_DISPLAY     0x03U
#define CLASS_SIMPLE_COMM 0x07U
#define CLASS_BRIDGE      0x06U
#define SUBCLASS_SERIAL   0x00U
#define SUBCLASS_PCI      0x04U

enum role {
    ROLE_ENDPOINT, /* may do DMA: its driver goes */
    ROLE_CONSOLE,  /* a driver that lets go of a screen or a UART may switch its registers off */
    ROLE_BRIDGE,   /* to PCI: passes on what lies behind it */
    ROLE_OTHER     /* host and ISA bridges: their drivers have no DMA */
};

static EFI_GUID pci_io_guid = EFI_PCI_IO_PROTOCOL_GUID;

static enum role role_of_class(uint32_t class)
{
    uint32_t base = class >> 24;
    uint32_t sub = class >> 16 & 0xffU;

    if (base == CLASS_DISPLAY || (base == CLASS_SIMPLE_COMM && sub == SUBCLASS_SERIAL)) {
        return ROLE_CONSOLE;
    }
    if (base == CLASS_BRIDGE) {
        return sub == SUBCLASS_PCI ? ROLE_BRIDGE : ROLE_OTHER;
    }
    return ROLE_ENDPOINT;
}

static EFI_PCI_IO_PROTOCOL *function_open(EFI_HANDLE handle, enum role *role)
{
    EFI_PCI_IO_PROTOCOL *pci;
    uint32_t class;

    EFI_STATUS status = efi_boot->HandleProtocol(handle, &pci_io_guid, (void **)&pci);
    if (EFI_ERROR(status) ||
        EFI_ERROR(pci->Pci.Read(pci, EfiPciIoWidthUint32, CONFIG_CLASS, 1, &class))) {
        return NULL;
    }
    *role = role_of_class(class);
    return pci;
}

/* Clear Bus Master Enable, if it is set. */
static void function_stop_master(EFI_PCI_IO_PROTOCOL *pci)
{
    uint16_t command;

    if (EFI_ERROR(pci->Pci.Read(pci, EfiPciIoWidthUint16, CONFIG_COMMAND, 1, &command)) ||
        (command & COMMAND_MASTER) == 0) {
        return;
    }
    command &= (uint16_t)~COMMAND_MASTER;
    pci->Pci.Write(pci, EfiPciIoWidthUint16, CONFIG_COMMAND, 1, &command);
}

void pci_list(struct pci_handles *list)
{
    *list = (struct pci_handles){NULL, 0};
    EFI_STATUS status =
        efi_boot->LocateHandleBuffer(ByProtocol, &pci_io_guid, NULL, &list->count, &list->handles);
    if (EFI_ERROR(status)) {
        *list = (struct pci_handles){NULL, 0};
        console_print("portolan: the firmware names no PCI devices (0x%lx)", status);
    }
}

void pci_quiesce(const struct pci_handles *list)
{
    enum role role;

    for (UINTN i = 0; i < list->count; i++) {
        if (function_open(list->handles[i], &role) != NULL && role == ROLE_ENDPOINT) {
            /* A function without a driver answers with an error, which is as good. */
            efi_boot->DisconnectController(list->handles[i], NULL, NULL);
        }
    }
    for (UINTN i = 0; i < list->count; i++) {
        EFI_PCI_IO_PROTOCOL *pci = function_open(list->handles[i], &role);
        if (pci != NULL && (role == ROLE_BRIDGE || role == ROLE_ENDPOINT)) {
            function_stop_master(pci);
        }
    }
}

void pci_reconnect(const struct pci_handles *list)
{
    for (UINTN i = 0; i < list->count; i++) {
        efi_boot->ConnectController(list->handles[i], NULL, NULL, TRUE);
    }
}
