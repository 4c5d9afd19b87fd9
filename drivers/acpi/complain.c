/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/complain.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"

void acpi_complain(struct acpi_complaints *complaints, const char *fmt, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    if (++complaints->count > ACPI_COMPLAINTS_TOLD) {
        return;
    }
    va_start(args, fmt);
    format_args(text, sizeof(text), fmt, args);
    va_end(args);
    log_warn("ACPI: %s: %s", complaints->table, text);
}

void acpi_complaints_close(const struct acpi_complaints *complaints)
{
    if (complaints->count > ACPI_COMPLAINTS_TOLD) {
        log_warn("ACPI: %s: %u more entries are wrong in such ways", complaints->table,
                 complaints->count - ACPI_COMPLAINTS_TOLD);
    }
}
