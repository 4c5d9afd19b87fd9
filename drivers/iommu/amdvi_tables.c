/* SPDX-License-Identifier: BSD-2-Clause */
/* Device tables. AMD I/O Virtualization Technology Specification 3.08, section 2.2.2. */
#include "drivers/iommu/amdvi.h"
#include "vmm/host/pool.h"

#include <string.h>

#define SEGMENTS_MAX ACPI_IVHDS_MAX

/* Of acpi_ivhd_device.settings: where the bits go in words 1 and 2 of an entry. Section 5.2.2.2. */
#define PASS_BITS   (ACPI_IVHD_NMI_PASS | ACPI_IVHD_EINT_PASS | ACPI_IVHD_INIT_PASS)
#define LINT_BITS   (ACPI_IVHD_LINT0_PASS | ACPI_IVHD_LINT1_PASS)
#define WORD2_SHIFT 56U

/* The units of a segment share its table: each sees only requests of its own devices. */
static struct table {
    struct amdvi_device *devices; /* NULL: free */
    uint16_t segment;
    uint32_t count; /* ids 0..count - 1; later ones are blocked by their absence */
} tables[SEGMENTS_MAX];

void amdvi_tables_reset(void)
{
    memset(tables, 0, sizeof(tables));
}

/* The last requester id that IVRS gives to a unit of SEGMENT. */
static uint16_t last_id(const struct acpi_ivrs *ivrs, uint16_t segment)
{
    uint16_t last = 0;

    for (uint32_t i = 0; i < ivrs->device_count; i++) {
        const struct acpi_ivhd_device *device = &ivrs->devices[i];

        if (device->segment == segment) {
            last = device->last > last ? device->last : last;
            last = device->has_alias && device->alias > last ? device->alias : last;
        }
    }
    return last;
}

/* What firmware wants let through of ID's system messages and legacy interrupts. */
static uint8_t settings_of(const struct acpi_ivrs *ivrs, uint16_t segment, uint16_t id)
{
    uint8_t settings = 0;

    for (uint32_t i = 0; i < ivrs->device_count; i++) {
        const struct acpi_ivhd_device *device = &ivrs->devices[i];

        if (device->segment == segment && id >= device->first && id <= device->last) {
            settings |= device->settings;
        }
    }
    return settings;
}

void amdvi_tables_block(const struct acpi_ivrs *ivrs, uint16_t segment, uint16_t id)
{
    struct amdvi_device *device = amdvi_tables_device(segment, id);
    uint64_t settings = settings_of(ivrs, segment, id);

    shared_store(&device->word[0], AMDVI_BLOCKED); /* first: from here on nothing passes */
    shared_store(&device->word[2], amdvi_device_irqs(hpa(0)) | (settings & (PASS_BITS | LINT_BITS))
                                                                   << WORD2_SHIFT);
    shared_store(&device->word[1], AMDVI_D_SYSMGT((settings & ACPI_IVHD_SYSMGT_MASK) >> 4));
}

/*
 * An assigned device gets none of the special messages: its guest could send NMIs. Word 0 comes
 * last: until then the entry has no rights.
 */
void amdvi_tables_open(struct amdvi_device *device, hpa_t table, unsigned levels, uint16_t domain)
{
    shared_store(&device->word[2], amdvi_device_irqs(hpa(0)));
    shared_store(&device->word[1], domain);
    shared_store(&device->word[0],
                 amdvi_device_root(table, levels) | (iommu_state.marks ? AMDVI_D_MARKS : 0));
}

struct amdvi_device *amdvi_tables_device(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
        if (tables[i].devices != NULL && tables[i].segment == segment) {
            return id < tables[i].count ? &tables[i].devices[id] : NULL;
        }
    }
    return NULL;
}

enum status amdvi_tables_make(const struct acpi_ivrs *ivrs, uint16_t segment, hpa_t *result,
                              uint64_t *size)
{
    uint32_t slot = 0;

    *size = align_up((last_id(ivrs, segment) + 1UL) * sizeof(struct amdvi_device), PAGE_SIZE);
    while (slot < SEGMENTS_MAX && tables[slot].devices != NULL && tables[slot].segment != segment) {
        slot++;
    }
    if (slot == SEGMENTS_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    struct table *table = &tables[slot];

    if (table->devices == NULL) {
        *table = (struct table){.segment = segment,
                                .devices = pool_allocate(*size, PAGE_SIZE),
                                .count = (uint32_t)(*size / sizeof(struct amdvi_device))};
        for (uint32_t id = 0; table->devices != NULL && id < table->count; id++) {
            amdvi_tables_block(ivrs, segment, (uint16_t)id);
        }
    }
    if (table->devices == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    *result = pool_hpa(table->devices);
    return STATUS_OK;
}
