/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/tables.h"
#include "vmm/base/log.h"

#include <string.h>

static struct acpi_facts facts;

const struct acpi_facts *acpi_facts(void)
{
    return &facts;
}

/* Read the table at ADDRESS unless one of its kind was read; SEEN has a bit for each that was. */
static void read_table(hpa_t address, uint32_t *seen)
{
    struct acpi_table table;
    char signature[5];

    if (table_peek(address, signature) != STATUS_OK) {
        log_warn("ACPI: the root table has the impossible address %#llx; left out",
                 (unsigned long long)address.raw);
        return;
    }
    int parser = acpi_parser_of(signature);

    if (parser < 0) {
        return;
    }
    if ((*seen >> parser & 1U) != 0) {
        log_warn("ACPI: a second %s at %#llx; the first one counts", signature,
                 (unsigned long long)address.raw);
        return;
    }
    if (table_open(address, &table) == STATUS_OK) {
        *seen |= 1U << parser;
        (void)acpi_parse_table(signature, table.window, &facts); /* it says what is wrong */
        table_close(&table);
    }
}

/* Look for S5 in one table of AML. */
static void read_aml(hpa_t address)
{
    struct acpi_table table;

    if (table_open(address, &table) == STATUS_OK) {
        (void)sleep_find_s5(table.window, &facts.s5);
        table_close(&table);
    }
}

/* S5 is in the DSDT on nearly all machines, on a few in an SSDT. */
static void read_s5(const struct acpi_root *root)
{
    char signature[5];

    if (facts.fadt.dsdt.raw != 0) {
        read_aml(facts.fadt.dsdt);
    }
    for (uint32_t i = 0; i < root->count && !facts.s5.present; i++) {
        hpa_t address = root_entry(root, i);

        if (table_peek(address, signature) == STATUS_OK && strcmp(signature, "SSDT") == 0) {
            read_aml(address);
        }
    }
}

enum status acpi_init(hpa_t rsdp)
{
    struct acpi_root root;
    uint32_t seen = 0;
    enum status status;

    memset(&facts, 0, sizeof(facts));
    if (rsdp.raw == 0) {
        log_warn("ACPI: the boot loader found no RSDP: only the boot CPU and old-style PCI are "
                 "usable (boot through UEFI, or switch ACPI on in the firmware set-up)");
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    status = root_open(rsdp, &root);
    if (status != STATUS_OK) {
        return status;
    }
    facts.present = true;
    for (uint32_t i = 0; i < root.count; i++) {
        read_table(root_entry(&root, i), &seen);
    }
    read_s5(&root);
    table_close(&root.table);
    return STATUS_OK;
}
