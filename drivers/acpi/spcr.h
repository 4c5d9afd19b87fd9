/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Microsoft's Serial Port Console Redirection table: the serial port that firmware talks on.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_SPCR_H
#define PORTOLAN_DRIVERS_ACPI_SPCR_H

#include "drivers/acpi/fadt.h"
#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"

struct acpi_spcr {
    bool present;              /* a 16550 or compatible, at 'base' */
    uint32_t baud;             /* 0: as firmware left it */
    struct acpi_register base; /* memory or I/O */
};

/*
 * Read the table TABLE (with its header) into *SPCR, which is overwritten. NOT_FOUND when it names
 * no port, UNSUPPORTED for a UART that is no 16550, INVALID when it makes no sense; *SPCR is empty
 * then. Pure, any CPU.
 * '*spcr' empty, for a UART that is no 16550; INVALID when the table is too short. Pure, any CPU.
 */
enum status spcr_parse(struct acpi_window table, struct acpi_spcr *spcr);

#endif
