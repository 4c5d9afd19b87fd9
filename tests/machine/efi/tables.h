/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and spoiling the ACPI tables that the firmware has installed. */
#ifndef PORTOLAN_TESTS_MACHINE_EFI_TABLES_H
#define PORTOLAN_TESTS_MACHINE_EFI_TABLES_H

#include "boot/efi/services.h"

#include <stdint.h>

/* Each prints what it did and returns an error if the table is not there. NUMBER and SIGNATURE are
 * what the script says. */

/* Copy the MADT with one more enabled CPU of the APIC id NUMBER. */
EFI_STATUS tables_add_cpu(const char *signature, uint32_t number);

/* Take NUMBER bytes off the length of a table, with a good checksum. */
EFI_STATUS tables_truncate(const char *signature, uint32_t number);

/* Give a table a signature that nobody knows. */
EFI_STATUS tables_hide(const char *signature, uint32_t number);

/* Spoil the checksum of a table. */
EFI_STATUS tables_spoil_checksum(const char *signature, uint32_t number);

/* Replace what the XSDT and the RSDT point to by numbers that are no tables. */
EFI_STATUS tables_spoil_pointers(const char *signature, uint32_t number);

/* Take the RSDP out of the firmware's configuration tables. */
EFI_STATUS tables_remove_rsdp(const char *signature, uint32_t number);

#endif
