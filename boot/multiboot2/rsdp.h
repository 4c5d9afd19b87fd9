/* SPDX-License-Identifier: BSD-2-Clause */
/* Where ACPI begins on a BIOS machine (ACPI 6.4, 5.2.5.1). */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_RSDP_H
#define PORTOLAN_BOOT_MULTIBOOT2_RSDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that the checksum of ACPI 1.0 covers; every RSDP has them. */
#define RSDP_SIZE_MIN 20U

/* Do the first SIZE bytes at BYTES begin with an RSDP whose ACPI 1.0 checksum is right? */
bool rsdp_is_sound(const uint8_t *bytes, size_t size);

/* The offset of the first sound RSDP on a multiple of 16 in the SIZE bytes at BYTES; SIZE: none. */
size_t rsdp_search(const uint8_t *bytes, size_t size);

#endif
