/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/machine/efi/tables.h"

#include "boot/efi/efi_console.h"
#include "vmm/base/types.h"

#include <string.h>

/* ACPI 6.4, 5.2.5 to 5.2.8 and 5.2.12. */
struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} __attribute__((packed));

struct table {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    uint32_t creator;
    uint32_t creator_revision;
} __attribute__((packed));

struct local_apic {
    uint8_t type;
    uint8_t length;
    uint8_t processor;
    uint8_t id;
    uint32_t flags;
} __attribute__((packed));

struct local_x2apic {
    uint8_t type;
    uint8_t length;
    uint16_t reserved;
    uint32_t id;
    uint32_t flags;
    uint32_t processor;
} __attribute__((packed));

#define ENABLED       1U
#define XAPIC_ID_MAX  254U
#define SIGNATURE_MAX 4U

static EFI_GUID acpi_1_guid = ACPI_TABLE_GUID;
static EFI_GUID acpi_2_guid = ACPI_20_TABLE_GUID;

/* The pointers of the two root tables, the old one's of 4 bytes, the new one's of 8. */
struct root {
    struct table *table;
    unsigned width;
};

static void *pointer(uint64_t address)
{
    void *result;

    memcpy(&result, &address, sizeof(result));
    return result;
}

static struct rsdp *rsdp_find(void)
{
    for (UINTN i = 0; i < efi_system->NumberOfTableEntries; i++) {
        EFI_CONFIGURATION_TABLE *entry = &efi_system->ConfigurationTable[i];
        if (memcmp(&entry->VendorGuid, &acpi_2_guid, sizeof(acpi_2_guid)) == 0) {
            return entry->VendorTable;
        }
    }
    return NULL;
}

static unsigned roots_find(struct root roots[2])
{
    const struct rsdp *rsdp = rsdp_find();
    unsigned count = 0;

    if (rsdp != NULL && rsdp->xsdt != 0) {
        roots[count++] = (struct root){pointer(rsdp->xsdt), 8};
    }
    if (rsdp != NULL && rsdp->rsdt != 0) {
        roots[count++] = (struct root){pointer(rsdp->rsdt), 4};
    }
    return count;
}

static unsigned root_entries(const struct root *root)
{
    return (unsigned)((root->table->length - sizeof(struct table)) / root->width);
}

static uint8_t *root_entry(const struct root *root, unsigned index)
{
    return (uint8_t *)root->table + sizeof(struct table) + (size_t)index * root->width;
}

static struct table *root_table(const struct root *root, unsigned index)
{
    uint64_t address = 0;

    memcpy(&address, root_entry(root, index), root->width);
    return pointer(address);
}

static void table_sum(struct table *table)
{
    uint8_t sum = 0;

    table->checksum = 0;
    for (uint32_t i = 0; i < table->length; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)table)[i]);
    }
    table->checksum = (uint8_t)-sum;
}

static struct table *table_find(const char *signature)
{
    struct root roots[2];
    unsigned count = roots_find(roots);

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < root_entries(&roots[i]); j++) {
            struct table *table = root_table(&roots[i], j);
            if (table != NULL && memcmp(table->signature, signature, SIGNATURE_MAX) == 0) {
                return table;
            }
        }
    }
    log_info("mangle: there is no table %s", signature);
    return NULL;
}

/* Let the root tables point to NEW where they pointed to OLD. */
static void table_replace(const struct table *old, const struct table *new)
{
    struct root roots[2];
    unsigned count = roots_find(roots);
    uint64_t address = (uintptr_t) new;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < root_entries(&roots[i]); j++) {
            if (root_table(&roots[i], j) == old) {
                memcpy(root_entry(&roots[i], j), &address, roots[i].width);
            }
        }
        table_sum(roots[i].table);
    }
}

/* Memory for a table, where the RSDT can point to it. */
static void *table_allocate(size_t size)
{
    EFI_PHYSICAL_ADDRESS base = UINT32_MAX;
    size_t pages = align_up(size, PAGE_SIZE) / PAGE_SIZE;

    EFI_STATUS status =
        efi_boot->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory, pages, &base);
    return EFI_ERROR(status) ? NULL : pointer(base);
}

EFI_STATUS tables_add_cpu(const char *signature, uint32_t number)
{
    const struct table *old = table_find(signature);
    struct local_apic small = {0, sizeof(small), 0xfe, (uint8_t)number, ENABLED};
    struct local_x2apic large = {9, sizeof(large), 0, number, ENABLED, 0xfe};
    bool fits = number <= XAPIC_ID_MAX;
    size_t added = fits ? sizeof(small) : sizeof(large);

    if (old == NULL) {
        return EFI_NOT_FOUND;
    }
    struct table *table = table_allocate(old->length + added);
    if (table == NULL) {
        return EFI_OUT_OF_RESOURCES;
    }
    memcpy(table, old, old->length);
    memcpy((uint8_t *)table + old->length, fits ? (void *)&small : (void *)&large, added);
    table->length = old->length + (uint32_t)added;
    table_sum(table);
    table_replace(old, table);
    log_info("mangle: a CPU with the APIC id %u that does not exist", number);
    return EFI_SUCCESS;
}

EFI_STATUS tables_truncate(const char *signature, uint32_t number)
{
    struct table *table = table_find(signature);

    if (table == NULL || number > table->length) {
        return EFI_NOT_FOUND;
    }
    table->length -= number;
    table_sum(table);
    log_info("mangle: %.4s has lost its last %u bytes", table->signature, number);
    return EFI_SUCCESS;
}

EFI_STATUS tables_hide(const char *signature, uint32_t number)
{
    struct table *table = table_find(signature);

    if (table == NULL) {
        return EFI_NOT_FOUND;
    }
    memcpy(table->signature, "HIDE", sizeof(table->signature));
    table_sum(table);
    log_info("mangle: no table %.4s any more", signature);
    return EFI_SUCCESS;
}

EFI_STATUS tables_spoil_checksum(const char *signature, uint32_t number)
{
    struct table *table = table_find(signature);

    if (table == NULL) {
        return EFI_NOT_FOUND;
    }
    table->checksum ^= 0x55;
    log_info("mangle: the checksum of %.4s is wrong", table->signature);
    return EFI_SUCCESS;
}

EFI_STATUS tables_spoil_pointers(const char *signature, uint32_t number)
{
    static const uint64_t garbage[] = {
        0, UINT64_MAX, 1, 0x8000000000000000U, 0xfffffffffffff000U, 0xdeadbeefdeadbeefU, 0xfffff};
    struct root roots[2];
    unsigned count = roots_find(roots);

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < root_entries(&roots[i]); j++) {
            memcpy(root_entry(&roots[i], j), &garbage[j % ARRAY_SIZE(garbage)], roots[i].width);
        }
        table_sum(roots[i].table);
    }
    log_info("mangle: %u root tables point to no tables", count);
    return count > 0 ? EFI_SUCCESS : EFI_NOT_FOUND;
}

EFI_STATUS tables_remove_rsdp(const char *signature, uint32_t number)
{
    EFI_STATUS status = efi_boot->InstallConfigurationTable(&acpi_2_guid, NULL);

    /* Not all firmware has this older one as well. */
    efi_boot->InstallConfigurationTable(&acpi_1_guid, NULL);
    log_info("mangle: the firmware names no RSDP any more");
    return status;
}
