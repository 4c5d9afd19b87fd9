/* SPDX-License-Identifier: BSD-2-Clause */
/* What the firmware knows and the core cannot find out without it. Needs boot services. */
#ifndef PORTOLAN_BOOT_EFI_FIRMWARE_H
#define PORTOLAN_BOOT_EFI_FIRMWARE_H

#include "boot/efi/services.h"
#include "boot/handoff.h"

/* The address of ACPI's RSDP, that of ACPI 2.0 if there is one; 0, with a message: there is none.
 */
uint64_t firmware_find_rsdp(void);

/* The frame buffer of the console's screen; pixel is HANDOFF_PIXEL_NONE where none can be used. */
struct handoff_framebuffer firmware_find_framebuffer(void);

/* A number that nobody can foretell if the firmware has a random number generator. */
uint64_t firmware_get_entropy(void);

#endif
