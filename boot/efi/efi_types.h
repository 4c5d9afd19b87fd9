/* SPDX-License-Identifier: BSD-2-Clause */
/* GNU-EFI's headers as every file of the EFI loader includes them. */
#ifndef PORTOLAN_BOOT_EFI_EFI_TYPES_H
#define PORTOLAN_BOOT_EFI_EFI_TYPES_H

#include <efi.h>
#include <stddef.h>

/* UEFI 2.10, chapter 4 and 7: the firmware's tables; set once, by efi_main(). */
extern EFI_SYSTEM_TABLE *efi_system;
extern EFI_BOOT_SERVICES *efi_boot;

/* Pages of LoaderData, zeroed, at any address; NULL: there are not as many. Never freed. */
void *efi_pages_allocate(size_t bytes);

#endif
