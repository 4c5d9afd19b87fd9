/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader finds in the machine: where ACPI begins (ACPI 6.4, 5.2.5.1), the screen that the
 * boot loader has set up, and devices whose DMA is to end.
 */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_MB2_MACHINE_H
#define PORTOLAN_BOOT_MULTIBOOT2_MB2_MACHINE_H

#include "boot/multiboot2/information.h"

#include <stdbool.h>

/* The bytes that the checksum of ACPI 1.0 covers; every RSDP has them. */
#define RSDP_SIZE_MIN 20U

/* Do the first SIZE bytes at BYTES begin with an RSDP whose ACPI 1.0 checksum is right? */
bool rsdp_is_sound(const uint8_t *bytes, size_t size);

/* The offset of the first sound RSDP on a multiple of 16 in the SIZE bytes at BYTES; SIZE: none. */
size_t rsdp_search(const uint8_t *bytes, size_t size);

/*
 * SCREEN for the hand-off; pixel is HANDOFF_PIXEL_NONE when there is none that the core can draw
 * on: it wants 32 bits a pixel, 8 for each colour, lines that fit their pitch, and no wrapped
 * address.
 */
struct handoff_framebuffer framebuffer_convert(const struct information_framebuffer *screen);

/*
 * Clear Bus Master Enable in every PCI-to-PCI bridge and in every function but screens and serial
 * ports, through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2); nothing on a machine that lacks them.
 */
void pci_quiesce(void);

#endif
