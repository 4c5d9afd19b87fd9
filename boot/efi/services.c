/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/services.h"

#include "vmm/base/types.h"

#include <string.h>

EFI_SYSTEM_TABLE *efi_system;
EFI_BOOT_SERVICES *efi_boot;

void services_init(EFI_SYSTEM_TABLE *system)
{
    efi_system = system;
    efi_boot = system->BootServices;
    efi_boot->SetWatchdogTimer(0, 0, 0, NULL);
}

void *services_allocate_pages(size_t bytes)
{
    EFI_PHYSICAL_ADDRESS base;
    size_t pages = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0 ? 1 : 0);

    if (EFI_ERROR(efi_boot->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &base))) {
        return NULL;
    }
    void *memory;
    memcpy(&memory, &base, sizeof(memory)); /* the firmware maps all memory one to one */
    return memset(memory, 0, pages * PAGE_SIZE);
}
