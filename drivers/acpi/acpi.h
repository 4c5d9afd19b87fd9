/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the VMM learns from ACPI, read once at boot.
 *
 *   acpi_init(hpa(handoff->rsdp));
 *   const struct acpi_facts *acpi = acpi_facts();
 *   for (i = 0; i < acpi->madt.cpu_count; i++) ... acpi->madt.cpus[i].apic_id ...
 *
 * A table that is missing or broken leaves its '.present' false and the rest of its structure zero;
 * the log has a warning that names the table and what is wrong with it.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_ACPI_H
#define PORTOLAN_DRIVERS_ACPI_ACPI_H

#include "drivers/acpi/dmar.h"
#include "drivers/acpi/fadt.h"
#include "drivers/acpi/ivrs.h"
#include "drivers/acpi/madt.h"
#include "drivers/acpi/mcfg.h"
#include "drivers/acpi/sleep.h"
#include "drivers/acpi/spcr.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct acpi_facts {
    bool present; /* an RSDP and a root table were found and are sound */
    struct acpi_madt madt;
    struct acpi_mcfg mcfg;
    struct acpi_dmar dmar;
    struct acpi_ivrs ivrs;
    struct acpi_fadt fadt;
    struct acpi_spcr spcr;
    struct acpi_s5 s5;
};

/*
 * Find and read all tables from the root pointer RSDP (0: there is none). Maps what it reads with
 * map_physical() and releases it again, so the tables' memory is free afterwards. NOT_FOUND without
 * an RSDP, INVALID when it or the root table is unsound; everything else that is wrong is a
 * warning. Boot CPU, once, when map_physical() works.
 */
enum status acpi_init(hpa_t rsdp);

/* What acpi_init() found; valid and constant for ever after it; all zero before. Any CPU. */
const struct acpi_facts *acpi_facts(void);

#endif
