/* SPDX-License-Identifier: BSD-2-Clause */
/* From the root pointer to the facts. ACPI 6.5, sections 5.2.5 to 5.2.8. */
#include "drivers/acpi/acpi_parse.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"

#include <string.h>

enum {
    HEADER_LENGTH = 4,
    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_SIZE_1 = 20, /* ACPI 1.0's */
    RSDP_LENGTH = 20,
    RSDP_XSDT = 24,
    RSDP_SIZE_2 = 36
};

#define RSDP_SIGNATURE 0x2052545020445352ULL /* "RSD PTR ", little-endian */

struct acpi_table {
    hpa_t address;
    char signature[5]; /* NUL-terminated, with '?' for what is not printable */
    struct acpi_window window;
    void *va; /* the window's mapping */
};

/* The list of tables: an XSDT or, where there is no sound one, an RSDT. */
struct acpi_root {
    struct acpi_table table;
    uint32_t count;
    uint32_t entry_size; /* 8 or 4 */
};

static uint8_t checksum(struct acpi_window window)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < window.size; i++) {
        sum = (uint8_t)(sum + window.bytes[i]);
    }
    return sum;
}

/* Map SIZE bytes at ADDRESS; on success the caller owes map_release(*va, size). */
static enum status window_open(hpa_t address, uint32_t size, struct acpi_window *window, void **va)
{
    *va = NULL;
    if (address.raw == 0 || !range_fits(address.raw, size, ACPI_PHYSICAL_LIMIT)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    *va = map_physical(address, size, MAP_READ_ONLY);
    *window = (struct acpi_window){*va, size};
    return *va == NULL ? STATUS_NOTE(STATUS_NO_MEMORY) : STATUS_OK;
}

static void signature_copy(char *signature, struct acpi_window window)
{
    for (uint32_t i = 0; i < 4; i++) {
        char c = (char)window_u8(window, i);

        signature[i] = c;
        if (c <= ' ' || c == 0x7f) {
            signature[i] = '?';
        }
    }
    signature[4] = '\0';
}

/* Read the SIGNATURE (5 bytes) of the table at ADDRESS, and the LENGTH that it claims. */
static enum status header_read(hpa_t address, char *signature, uint32_t *length)
{
    struct acpi_window header = {0};
    void *va;
    enum status status = window_open(address, ACPI_HEADER_SIZE, &header, &va);

    if (status != STATUS_OK) {
        return status;
    }
    signature_copy(signature, header);
    *length = window_u32(header, HEADER_LENGTH);
    map_release(va, ACPI_HEADER_SIZE);
    return STATUS_OK;
}

/* Read the signature of the table at ADDRESS into SIGNATURE (5 bytes). */
static enum status table_peek(hpa_t address, char *signature)
{
    uint32_t length;

    return header_read(address, signature, &length);
}

static void table_close(struct acpi_table *table)
{
    map_release(table->va, table->window.size);
    *table = (struct acpi_table){0};
}

/*
 * Map the table at ADDRESS, check its length and checksum. On success the caller owes
 * table_close(). INVALID, with a warning, when it is unsound; NO_MEMORY when it cannot be mapped.
 */
static enum status table_open(hpa_t address, struct acpi_table *table)
{
    uint32_t length;
    enum status status;

    *table = (struct acpi_table){.address = address};
    status = header_read(address, table->signature, &length);
    if (status != STATUS_OK) {
        log_warn("ACPI: no table can be read at %#llx: %s", (unsigned long long)address.raw,
                 status_name(status));
        return status;
    }
    if (length < ACPI_HEADER_SIZE || length > ACPI_TABLE_SIZE_MAX ||
        !range_fits(address.raw, length, ACPI_PHYSICAL_LIMIT)) {
        log_warn("ACPI: %s at %#llx: length %u is impossible; the table is not used",
                 table->signature, (unsigned long long)address.raw, length);
        return STATUS_NOTE(STATUS_INVALID);
    }
    status = window_open(address, length, &table->window, &table->va);
    if (status != STATUS_OK) {
        log_warn("ACPI: %s at %#llx: its %u bytes cannot be mapped", table->signature,
                 (unsigned long long)address.raw, length);
        return status;
    }
    if (checksum(table->window) != 0) {
        log_warn("ACPI: %s at %#llx: wrong checksum; the table is not used (a firmware update may "
                 "mend it)",
                 table->signature, (unsigned long long)address.raw);
        table_close(table);
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

/* Open the root table at ADDRESS, which must have SIGNATURE. */
static enum status root_table_open(hpa_t address, const char *signature, uint32_t entry_size,
                                   struct acpi_root *root)
{
    enum status status = table_open(address, &root->table);

    if (status != STATUS_OK) {
        return status;
    }
    if (strcmp(root->table.signature, signature) != 0) {
        log_warn("ACPI: there is %s at %#llx where the RSDP promises %s", root->table.signature,
                 (unsigned long long)address.raw, signature);
        table_close(&root->table);
        return STATUS_NOTE(STATUS_INVALID);
    }
    root->entry_size = entry_size;
    root->count = (root->table.window.size - ACPI_HEADER_SIZE) / entry_size;
    if (root->count > ACPI_ROOT_ENTRIES_MAX) {
        log_warn("ACPI: %s lists %u tables; only the first %u are looked at", signature,
                 root->count, ACPI_ROOT_ENTRIES_MAX);
        root->count = ACPI_ROOT_ENTRIES_MAX;
    }
    return STATUS_OK;
}

/* The XSDT's address by an RSDP of ACPI 2.0 or later; 0 when it names none or is unsound. */
static hpa_t xsdt_address(hpa_t rsdp)
{
    struct acpi_window window = {0};
    hpa_t xsdt = hpa(0);
    void *va;

    if (window_open(rsdp, RSDP_SIZE_2, &window, &va) != STATUS_OK) {
        return hpa(0);
    }
    /* The extended checksum is over 'length' bytes; ACPI 6.5 knows no RSDP longer than 36. */
    if (window_u32(window, RSDP_LENGTH) != RSDP_SIZE_2 || checksum(window) != 0) {
        log_warn("ACPI: the RSDP's extension has a wrong length or checksum; its XSDT is not used");
    } else {
        xsdt = hpa(window_u64(window, RSDP_XSDT));
    }
    map_release(va, RSDP_SIZE_2);
    return xsdt;
}

/* Check ACPI 1.0's part of the RSDP. */
static enum status rsdp_read(hpa_t rsdp, uint8_t *revision, hpa_t *rsdt)
{
    struct acpi_window window = {0};
    void *va;
    enum status status = window_open(rsdp, RSDP_SIZE_1, &window, &va);

    if (status != STATUS_OK) {
        return status;
    }
    if (window_u64(window, 0) != RSDP_SIGNATURE || checksum(window) != 0) {
        log_warn("ACPI: there is no sound RSDP at %#llx", (unsigned long long)rsdp.raw);
        status = STATUS_NOTE(STATUS_INVALID);
    }
    *revision = window_u8(window, RSDP_REVISION);
    *rsdt = hpa(window_u32(window, RSDP_RSDT));
    map_release(va, RSDP_SIZE_1);
    return status;
}

/*
 * Check the root pointer at RSDP and open the root table that it names. On success the caller owes
 * table_close(&root->table). INVALID, with a warning, when either is unsound.
 */
static enum status root_open(hpa_t rsdp, struct acpi_root *root)
{
    uint8_t revision;
    hpa_t rsdt;
    enum status status = rsdp_read(rsdp, &revision, &rsdt);

    *root = (struct acpi_root){0};
    if (status != STATUS_OK) {
        return status;
    }
    if (revision >= 2) {
        hpa_t xsdt = xsdt_address(rsdp);

        if (xsdt.raw != 0 && root_table_open(xsdt, "XSDT", 8, root) == STATUS_OK) {
            return STATUS_OK;
        }
    }
    return root_table_open(rsdt, "RSDT", 4, root);
}

/* The address of table INDEX < root->count, as firmware wrote it. */
static hpa_t root_entry(const struct acpi_root *root, uint32_t index)
{
    return hpa(window_read(root->table.window, ACPI_HEADER_SIZE + index * root->entry_size,
                           root->entry_size));
}

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
