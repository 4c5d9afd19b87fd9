/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/msix.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"

#define CONTROL_AT    0x02U
#define CONTROL_MASK  0x4000U /* function mask */
#define CONTROL_ON    0x8000U
#define ENTRY_ADDRESS 0U
#define ENTRY_UPPER   4U
#define ENTRY_DATA    8U
#define ENTRY_CONTROL 12U
#define ENTRY_MASKED  1U
#define PBA_BITS      64U

static uint64_t table_size(uint32_t vectors)
{
    return (uint64_t)vectors * PCI_MSIX_ENTRY_SIZE;
}

static const char *check_part(const struct pci_bar *bar, uint32_t offset, uint64_t size)
{
    if (bar->kind != PCI_BAR_MEMORY_32 && bar->kind != PCI_BAR_MEMORY_64) {
        return "a BAR that is no memory BAR";
    }
    if (bar->base == 0 || bar->size == 0) {
        return "a BAR without an address";
    }
    return range_fits(offset, size, bar->size) ? NULL : "a place beyond its BAR";
}

enum status pci_msix_check(bdf_t bdf, const struct pci_msix *msix, const struct pci_bar *bars)
{
    uint64_t table = table_size(msix->vectors);
    uint64_t pba = align_up(msix->vectors, PBA_BITS) / 8;
    const char *fault = NULL;

    if (msix->table_bar >= PCI_BARS_MAX || msix->pba_bar >= PCI_BARS_MAX) {
        fault = "a BAR that does not exist";
    }
    if (fault == NULL) {
        fault = check_part(&bars[msix->table_bar], msix->table_offset, table);
    }
    if (fault == NULL) {
        fault = check_part(&bars[msix->pba_bar], msix->pba_offset, pba);
    }
    if (fault == NULL && msix->table_bar == msix->pba_bar &&
        ranges_overlap(msix->table_offset, table, msix->pba_offset, pba)) {
        fault = "one place for both";
    }
    if (fault != NULL) {
        log_warn("PCI " BDF_FORMAT ": its MSI-X capability gives the table or the pending bits %s; "
                 "MSI-X is not used",
                 BDF_ARGS(bdf), fault);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

enum status pci_msix_open(struct pci_msix_table *table, bdf_t bdf, uint16_t capability,
                          const struct pci_msix *msix, const struct pci_bar *bars)
{
    enum status status = pci_msix_check(bdf, msix, bars);

    *table =
        (struct pci_msix_table){.bdf = bdf, .capability = capability, .vectors = msix->vectors};
    if (status != STATUS_OK) {
        return status;
    }
    table->table = map_physical(hpa(bars[msix->table_bar].base + msix->table_offset),
                                table_size(msix->vectors), MAP_DEVICE);
    return table->table != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

/* The control register with just BITS of Enable and Function Mask; false if it does not stick. */
static bool write_control(const struct pci_msix_table *table, uint32_t bits)
{
    uint32_t control = pci_config_change(table->bdf, table->capability + CONTROL_AT,
                                         CONTROL_ON | CONTROL_MASK, bits);

    return (control & (CONTROL_ON | CONTROL_MASK)) == bits;
}

void pci_msix_close(struct pci_msix_table *table)
{
    if (table->table == NULL) {
        return;
    }
    (void)write_control(table, 0);
    map_release(table->table, table_size(table->vectors));
    *table = (struct pci_msix_table){0};
}

static volatile uint8_t *entry_at(const struct pci_msix_table *table, uint32_t vector)
{
    return table->table + (size_t)vector * PCI_MSIX_ENTRY_SIZE;
}

/* The other bits of the register are not ours to change (7.7.2.11). The read waits for the write.
 */
static void entry_mask(const struct pci_msix_table *table, uint32_t vector, bool masked)
{
    volatile uint8_t *control = entry_at(table, vector) + ENTRY_CONTROL;
    uint32_t value = mmio_read32(control);

    mmio_write32(control, masked ? value | ENTRY_MASKED : value & ~ENTRY_MASKED);
    (void)mmio_read32(control);
}

enum status pci_msix_enable(const struct pci_msix_table *table)
{
    if (table->table == NULL) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (!write_control(table, CONTROL_ON | CONTROL_MASK)) {
        log_warn("PCI " BDF_FORMAT ": MSI-X cannot be switched on", BDF_ARGS(table->bdf));
        return STATUS_NOTE(STATUS_DEVICE);
    }
    for (uint32_t i = 0; i < table->vectors; i++) {
        entry_mask(table, i, true);
    }
    if (!write_control(table, CONTROL_ON)) {
        log_warn("PCI " BDF_FORMAT ": the function mask of MSI-X cannot be cleared",
                 BDF_ARGS(table->bdf));
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

enum status pci_msix_set(const struct pci_msix_table *table, uint32_t vector, uint64_t address,
                         uint32_t data)
{
    volatile uint8_t *entry;

    if (table->table == NULL || vector >= table->vectors || address % 4 != 0) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    entry = entry_at(table, vector);
    entry_mask(table, vector, true);
    mmio_write32(entry + ENTRY_ADDRESS, (uint32_t)address);
    mmio_write32(entry + ENTRY_UPPER, (uint32_t)(address >> 32));
    mmio_write32(entry + ENTRY_DATA, data);
    entry_mask(table, vector, false);
    return STATUS_OK;
}

enum status pci_msix_mask(const struct pci_msix_table *table, uint32_t vector, bool masked)
{
    if (table->table == NULL || vector >= table->vectors) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    entry_mask(table, vector, masked);
    return STATUS_OK;
}
