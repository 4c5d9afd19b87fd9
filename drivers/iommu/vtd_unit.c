/* SPDX-License-Identifier: BSD-2-Clause */
/* One VT-d unit: what it can do, and the order in which it is switched on. */
#include "drivers/iommu/hardware.h"
#include "drivers/iommu/vtd.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"

#define ALL_ONES           (~0ULL)
#define IRQ_TABLE_SIZE_LOG 11U /* IRTA.S: 2^(S + 1) entries */

_Static_assert(1U << (IRQ_TABLE_SIZE_LOG + 1) == IOMMU_IRQS_MAX, "the table holds every interrupt");

/* Bytes of registers that the unit uses: fault records may lie beyond what the table says. */
static uint64_t registers_size(uint64_t cap, uint64_t described)
{
    uint32_t end = VTD_CAP_FAULTS_AT(cap) + VTD_CAP_FAULTS(cap) * VTD_FAULT_SIZE;

    return align_up(end > described ? end : described, PAGE_SIZE);
}

static enum status unit_map(struct vtd_unit *unit, uint64_t size)
{
    unit->size = size;
    unit->registers = map_physical(unit->drhd->base, size, MAP_DEVICE);
    return unit->registers != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

enum status vtd_unit_open(struct vtd_unit *unit, const struct acpi_drhd *drhd)
{
    *unit = (struct vtd_unit){.drhd = drhd};
    (void)format(unit->name, sizeof(unit->name), "VT-d at %#llx",
                 (unsigned long long)drhd->base.raw);
    enum status status = unit_map(unit, PAGE_SIZE);

    if (status != STATUS_OK) {
        return status;
    }
    unit->cap = iommu_hw_read64(unit->registers, VTD_CAP);
    unit->ecap = iommu_hw_read64(unit->registers, VTD_ECAP);
    if (unit->cap == ALL_ONES || unit->ecap == ALL_ONES) {
        log_warn("IOMMU: %s does not answer, though firmware's DMAR table names it", unit->name);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    uint64_t size = registers_size(unit->cap, drhd->size);

    if (size > PAGE_SIZE) {
        map_release(unit->registers, PAGE_SIZE);
        status = unit_map(unit, size);
    }
    return status == STATUS_OK ? vtd_queue_create(unit) : status;
}

enum status vtd_unit_command(struct vtd_unit *unit, uint32_t set, uint32_t clear)
{
    uint32_t state = iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_STATE;
    enum status status;

    iommu_hw_write32(unit->registers, VTD_GCMD, (state & ~clear) | set);
    /* WBF is told by its bit's going away, all others by the bit's having the value asked for. */
    status = iommu_wait32(unit->registers, VTD_GSTS, set | clear, set & ~VTD_G_WBF);
    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out command %#x within %u ms (status %#x); it cannot be "
                 "used",
                 unit->name, set | clear, IOMMU_WAIT_US / 1000,
                 iommu_hw_read32(unit->registers, VTD_GSTS));
    }
    return status;
}

enum status vtd_unit_flush_writes(struct vtd_unit *unit)
{
    if ((unit->cap & VTD_CAP_RWBF) == 0) {
        return STATUS_OK;
    }
    return unit->failed ? STATUS_NOTE(STATUS_DEVICE) : vtd_unit_command(unit, VTD_G_WBF, 0);
}

/* No interrupt of its own: faults are polled. What was recorded before us is dropped. */
static void faults_reset(struct vtd_unit *unit)
{
    uint32_t at = VTD_CAP_FAULTS_AT(unit->cap);

    iommu_hw_write32(unit->registers, VTD_FECTL, VTD_FECTL_MASKED);
    for (uint32_t i = 0; i < VTD_CAP_FAULTS(unit->cap); i++) {
        iommu_hw_write32(unit->registers, at + i * VTD_FAULT_SIZE + 12,
                         (uint32_t)(VTD_FAULT_PENDING >> 32));
    }
    iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_CLEAR);
}

/* Point the unit at our root table. Everything behind it is blocked as soon as translation is on.
 */
static enum status root_set(struct vtd_unit *unit, hpa_t root_table)
{
    const struct vtd_pair forget[] = {vtd_invalidate_contexts(), vtd_invalidate_all()};
    enum status status = STATUS_OK;

    /* Firmware may have translation on (DMA protection). In legacy mode it can stay on. */
    if ((iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_TE) != 0 &&
        (iommu_hw_read64(unit->registers, VTD_RTADDR) & VTD_RTADDR_MODE) != 0) {
        status = vtd_unit_command(unit, 0, VTD_G_TE);
    }
    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, VTD_RTADDR, root_table.raw);
        status = vtd_unit_command(unit, VTD_G_RTP, 0);
    }
    if (status == STATUS_OK) {
        status = vtd_unit_flush_writes(unit);
    }
    return status == STATUS_OK ? vtd_queue_run(unit, forget, ARRAY_SIZE(forget)) : status;
}

/* Section 5.1: interrupts go through IRQ_TABLE, and only they: the compatibility format is blocked.
 */
static enum status interrupts_set(struct vtd_unit *unit, hpa_t irq_table, bool x2apic)
{
    const struct vtd_pair forget = vtd_invalidate_irqs();
    enum status status;

    iommu_hw_write64(unit->registers, VTD_IRTA,
                     irq_table.raw | (x2apic ? VTD_IRTA_X2APIC : 0) | IRQ_TABLE_SIZE_LOG);
    status = vtd_unit_command(unit, VTD_G_IRTP, 0);
    if (status == STATUS_OK) {
        status = vtd_queue_run(unit, &forget, 1);
    }
    /* One change at a time: section 11.4.4. */
    if (status == STATUS_OK && (iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_CFI) != 0) {
        status = vtd_unit_command(unit, 0, VTD_G_CFI);
    }
    if (status == STATUS_OK) {
        status = vtd_unit_command(unit, VTD_G_IRE, 0);
    }
    return status;
}

/* Firmware's protected ranges would block our own devices too. Section 11.4.16. */
static enum status protected_ranges_off(struct vtd_unit *unit)
{
    if ((unit->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)) == 0 ||
        (iommu_hw_read32(unit->registers, VTD_PMEN) & VTD_PMEN_ENABLE) == 0) {
        return STATUS_OK;
    }
    iommu_hw_write32(unit->registers, VTD_PMEN, 0);
    return iommu_wait32(unit->registers, VTD_PMEN, VTD_PMEN_STATUS, 0);
}

enum status vtd_unit_start(struct vtd_unit *unit, hpa_t root_table, hpa_t irq_table, bool x2apic)
{
    enum status status = vtd_queue_start(unit);

    faults_reset(unit);
    if (status == STATUS_OK) {
        status = root_set(unit, root_table);
    }
    if (status == STATUS_OK) {
        status = vtd_unit_command(unit, VTD_G_TE, 0);
    }
    if (status == STATUS_OK && irq_table.raw != 0) {
        status = interrupts_set(unit, irq_table, x2apic);
    } else if (status == STATUS_OK &&
               (iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_IRE) != 0) {
        status = vtd_unit_command(unit, 0, VTD_G_IRE); /* firmware's: its table is not ours */
    }
    return status == STATUS_OK ? protected_ranges_off(unit) : status;
}
