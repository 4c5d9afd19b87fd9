/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware's services, through GNU-EFI's headers. */
#ifndef PORTOLAN_BOOT_EFI_SERVICES_H
#define PORTOLAN_BOOT_EFI_SERVICES_H

#include <efi.h>
#include <stddef.h>

extern EFI_SYSTEM_TABLE *efi_system;
extern EFI_BOOT_SERVICES *efi_boot;

/* Set the two above, and turn off the watchdog, which would reset the machine five minutes after
 * the firmware started this image (UEFI 2.10, 7.5.1). */
void services_init(EFI_SYSTEM_TABLE *system);

/* Pages of LoaderData, zeroed, at any address; NULL: there are not as many. Never freed. */
void *services_allocate_pages(size_t bytes);

#endif
