/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the root pointer to mapped, checked tables. ACPI 6.5, sections 5.2.5 to 5.2.8.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_TABLES_H
#define PORTOLAN_DRIVERS_ACPI_TABLES_H

#include "drivers/acpi/acpi_parse.h"

/* A longer table is taken for nonsense (DSDTs of real machines stay below 1 MiB). */
#define ACPI_TABLE_SIZE_MAX (8U << 20)

/* Tables that a root table may list; more are not looked at. */
#define ACPI_ROOT_ENTRIES_MAX 256U

struct acpi_table {
    hpa_t address;
    char signature[5]; /* NUL-terminated, with '?' for what is not printable */
    struct acpi_window window;
    void *va; /* the window's mapping */
};

/*
 * Read the signature of the table at ADDRESS into SIGNATURE (5 bytes). INVALID when there cannot be
 * a table at that address.
 */
enum status table_peek(hpa_t address, char *signature);

/*
 * Map the table at ADDRESS, check its length and checksum. On success the caller owes
 * table_close(). INVALID, with a warning, when it is unsound; NO_MEMORY when it cannot be mapped.
 */
enum status table_open(hpa_t address, struct acpi_table *table);
void table_close(struct acpi_table *table);

/* The list of tables: an XSDT or, where there is no sound one, an RSDT. */
struct acpi_root {
    struct acpi_table table;
    uint32_t count;
    uint32_t entry_size; /* 8 or 4 */
};

/*
 * Check the root pointer at RSDP and open the root table that it names. On success the caller owes
 * table_close(&root->table). INVALID, with a warning, when either is unsound.
 */
enum status root_open(hpa_t rsdp, struct acpi_root *root);

/* The address of table INDEX < root->count, as firmware wrote it. */
hpa_t root_entry(const struct acpi_root *root, uint32_t index);

#endif
