/* SPDX-License-Identifier: BSD-2-Clause */
/* Warnings about a firmware table, limited in number: a broken table must not fill the log. */
#ifndef PORTOLAN_DRIVERS_ACPI_COMPLAIN_H
#define PORTOLAN_DRIVERS_ACPI_COMPLAIN_H

#include "vmm/base/types.h"

/* How many of one table's faults are told in full. */
#define ACPI_COMPLAINTS_TOLD 8U

/* Start with {"MADT", 0}. */
struct acpi_complaints {
    const char *table;
    uint32_t count;
};

/* Warn that this table is wrong; what follows the limit is only counted. */
void acpi_complain(struct acpi_complaints *complaints, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Warn how many complaints were left out, if any; at the end of a parser. */
void acpi_complaints_close(const struct acpi_complaints *complaints);

#endif
