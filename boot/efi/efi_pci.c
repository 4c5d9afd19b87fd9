/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/efi_pci.h"

#include "boot/efi/efi_console.h"
#include "boot/pci_role.h"

#include <efipciio.h>
#include <stdint.h>

static EFI_GUID pci_io_guid = EFI_PCI_IO_PROTOCOL_GUID;

static EFI_PCI_IO_PROTOCOL *function_open(EFI_HANDLE handle, enum pci_role *role)
{
    EFI_PCI_IO_PROTOCOL *pci;
    uint32_t class;

    EFI_STATUS status = efi_boot->HandleProtocol(handle, &pci_io_guid, (void **)&pci);
    if (EFI_ERROR(status) ||
        EFI_ERROR(pci->Pci.Read(pci, EfiPciIoWidthUint32, PCI_ROLE_CLASS, 1, &class))) {
        return NULL;
    }
    *role = pci_role_of_class(class);
    return pci;
}

/* Clear Bus Master Enable, if it is set. */
static void function_stop_master(EFI_PCI_IO_PROTOCOL *pci)
{
    uint16_t command;

    if (EFI_ERROR(pci->Pci.Read(pci, EfiPciIoWidthUint16, PCI_ROLE_COMMAND, 1, &command)) ||
        (command & PCI_ROLE_MASTER) == 0) {
        return;
    }
    command &= (uint16_t)~PCI_ROLE_MASTER;
    pci->Pci.Write(pci, EfiPciIoWidthUint16, PCI_ROLE_COMMAND, 1, &command);
}

void pci_list(struct pci_handles *list)
{
    *list = (struct pci_handles){NULL, 0};
    EFI_STATUS status =
        efi_boot->LocateHandleBuffer(ByProtocol, &pci_io_guid, NULL, &list->count, &list->handles);
    if (EFI_ERROR(status)) {
        *list = (struct pci_handles){NULL, 0};
        log_info("portolan: the firmware names no PCI devices (0x%lx)", status);
    }
}

void pci_quiesce(const struct pci_handles *list)
{
    enum pci_role role;

    for (UINTN i = 0; i < list->count; i++) {
        if (function_open(list->handles[i], &role) != NULL && role == PCI_ROLE_ENDPOINT) {
            /* A function without a driver answers with an error, which is as good. */
            efi_boot->DisconnectController(list->handles[i], NULL, NULL);
        }
    }
    for (UINTN i = 0; i < list->count; i++) {
        EFI_PCI_IO_PROTOCOL *pci = function_open(list->handles[i], &role);
        if (pci != NULL && (pci_role_is_stopped(role))) {
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
