/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sleep type of S5 (soft off), found in the DSDT without an AML interpreter.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_SLEEP_H
#define PORTOLAN_DRIVERS_ACPI_SLEEP_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"

/* What to write to SLP_TYP of PM1a and PM1b control for S5. ACPI 6.5, section 7.4.2. */
struct acpi_s5 {
    bool present;
    uint8_t type_a; /* 0..7 */
    uint8_t type_b; /* 0..7 */
};

/*
 * Look in AML (a DSDT or SSDT with its header) for Name (_S5_, Package () {a, b, ...}) with
 * constants. NOT_FOUND, with '*s5' untouched, when there is none. Pure: no hardware, any CPU.
 */
enum status sleep_find_s5(struct acpi_window aml, struct acpi_s5 *s5);

#endif
