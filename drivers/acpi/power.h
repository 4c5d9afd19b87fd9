/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power-off and reset of the machine through ACPI's fixed registers. ACPI 6.5, sections 4.8.3,
 * 5.2.9 and 7.4.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_POWER_H
#define PORTOLAN_DRIVERS_ACPI_POWER_H

#include "drivers/acpi/acpi.h"
#include "vmm/base/status.h"

/*
 * Switch the machine off (S5). Does not return when it works; NOT_FOUND when firmware describes no
 * way, TIMEOUT when the machine is still on a second after it was told. One CPU, the others
 * stopped.
 */
enum status acpi_power_off(const struct acpi_facts *facts);

/*
 * Reset the machine: the FADT's reset register, then the chipset's port CF9h, then the keyboard
 * controller. Does not return when one of them works, else TIMEOUT. FACTS may be all zero (then
 * only the ports are tried). Any CPU, any state.
 */
enum status acpi_reset(const struct acpi_facts *facts);

#endif
