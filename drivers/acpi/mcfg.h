/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's MCFG table: where PCI Express configuration space (ECAM) is mapped.
 * PCI Firmware Specification 3.3, section 4.1.2.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_MCFG_H
#define PORTOLAN_DRIVERS_ACPI_MCFG_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define ACPI_ECAM_MAX 32U

/* Buses 'bus_first'..'bus_last' of one segment. Ranges do not overlap in buses or addresses. */
struct acpi_ecam {
    hpa_t base; /* of bus 0 of the segment, whether or not it is in the range; 1 MiB a bus */
    uint16_t segment;
    uint8_t bus_first;
    uint8_t bus_last;
};

struct acpi_mcfg {
    bool present;
    uint32_t ecam_count;
    struct acpi_ecam ecams[ACPI_ECAM_MAX];
};

/*
 * Read the table TABLE (with its header) into *MCFG, which is overwritten. Ranges that are empty,
 * wrap, lie beyond 52 bits or overlap an earlier one are left out with a warning. INVALID, with
 * '*mcfg' empty, when the table is too short for its fixed part. Pure: no hardware, any CPU.
 */
enum status mcfg_parse(struct acpi_window table, struct acpi_mcfg *mcfg);

#endif
