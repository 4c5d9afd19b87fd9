/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/amdvi_format.h"
#include "drivers/iommu/vtd_format.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"
#include "vmm/report/features.h"

/* What every unit of AMD's can do. */
#define AMDVI_ALWAYS                                                                 \
    (1U << IOMMU_PAGES_2M | 1U << IOMMU_PAGES_1G | 1U << IOMMU_QUEUED_INVALIDATION | \
     1U << IOMMU_REMAPS_INTERRUPTS)

#define ALL_ONES (~0ULL)

static uint32_t ability(enum iommu_ability which, uint64_t bits)
{
    return bits != 0 ? 1U << which : 0;
}

/* The widest addresses that the unit's page tables can have, by the depths it supports. */
static uint8_t vtd_address_width(uint64_t cap)
{
    /* Indexed by bit of SAGAW: 3, 4 and 5 levels. */
    static const uint8_t widths[] = {0, 39, 48, 57, 0};
    uint8_t width = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
        if ((VTD_CAP_SAGAW(cap) >> i & 1U) != 0 && widths[i] > width) {
            width = widths[i];
        }
    }
    return VTD_CAP_MGAW(cap) < width ? (uint8_t)VTD_CAP_MGAW(cap) : width;
}

/* Read COUNT 64-bit registers from OFFSET of a unit. False when nothing answers. */
static bool registers_read(hpa_t base, uint64_t size, uint32_t offset, unsigned count,
                           uint64_t *values)
{
    uint8_t *registers = map_physical(base, size, MAP_DEVICE);
    bool answers = registers != NULL;

    for (unsigned i = 0; answers && i < count; i++) {
        values[i] = mmio_read64(registers + offset + 8UL * i);
        answers = values[i] != ALL_ONES;
    }
    if (registers != NULL) {
        map_release(registers, size);
    }
    if (!answers) {
        log_warn("IOMMU at %#lx does not answer (the firmware's table names it)", base.raw);
    }
    return answers;
}

static void vtd_read(const struct acpi_drhd *drhd, struct pc_iommu *iommu)
{
    uint64_t values[2]; /* CAP and ECAP, next to each other */

    *iommu = (struct pc_iommu){.kind = IOMMU_VTD, .base = drhd->base, .segment = drhd->segment};
    _Static_assert(VTD_ECAP == VTD_CAP + 8, "read as a pair");
    if (!registers_read(drhd->base, PAGE_SIZE, VTD_CAP, 2, values)) {
        return;
    }
    iommu->answers = true;
    iommu->address_width = vtd_address_width(values[0]);
    iommu->abilities = ability(IOMMU_PAGES_2M, values[0] & VTD_CAP_2M) |
                       ability(IOMMU_PAGES_1G, values[0] & VTD_CAP_1G) |
                       ability(IOMMU_POSTED_INTERRUPTS, values[0] & VTD_CAP_POSTED) |
                       ability(IOMMU_COHERENT, values[1] & VTD_ECAP_COHERENT) |
                       ability(IOMMU_QUEUED_INVALIDATION, values[1] & VTD_ECAP_QI) |
                       ability(IOMMU_REMAPS_INTERRUPTS, values[1] & VTD_ECAP_IR) |
                       ability(IOMMU_X2APIC, values[1] & VTD_ECAP_EIM);
}

static void amdvi_read(const struct acpi_ivhd *ivhd, uint8_t virtual_width, struct pc_iommu *iommu)
{
    uint64_t efr = 0;

    *iommu =
        (struct pc_iommu){.kind = IOMMU_AMDVI, .base = ivhd->base, .segment = ivhd->bdf.segment};
    if (!registers_read(ivhd->base, AMDVI_REGISTERS_SIZE, AMDVI_FEATURES, 1, &efr)) {
        return;
    }
    iommu->answers = true;
    /* 4, 5 or 6 levels; the table may say that fewer bits are wired. */
    iommu->address_width =
        (uint8_t)(48 + 9 * AMDVI_F_HATS(efr) > 64 ? 64 : 48 + 9 * AMDVI_F_HATS(efr));
    if (virtual_width != 0 && virtual_width < iommu->address_width) {
        iommu->address_width = virtual_width;
    }
    iommu->abilities = AMDVI_ALWAYS | ability(IOMMU_X2APIC, efr & AMDVI_F_X2APIC) |
                       ability(IOMMU_POSTED_INTERRUPTS, efr & AMDVI_F_WIDE_IRQS) |
                       ability(IOMMU_COHERENT, ivhd->flags & AMDVI_IVHD_COHERENT);
}

void iommu_gather(struct platform_facts *facts)
{
    const struct acpi_dmar *dmar = &facts->acpi->dmar;
    const struct acpi_ivrs *ivrs = &facts->acpi->ivrs;

    for (uint32_t i = 0; i < dmar->drhd_count && facts->iommu_count < PLATFORM_IOMMUS_MAX; i++) {
        vtd_read(&dmar->drhds[i], &facts->iommus[facts->iommu_count++]);
    }
    for (uint32_t i = 0; i < ivrs->ivhd_count && facts->iommu_count < PLATFORM_IOMMUS_MAX; i++) {
        amdvi_read(&ivrs->ivhds[i], ivrs->virtual_width, &facts->iommus[facts->iommu_count++]);
    }
    facts->interrupt_remapping =
        facts->iommu_count > 0 && (dmar->drhd_count == 0 || dmar->interrupt_remapping);
    for (uint32_t i = 0; i < facts->iommu_count; i++) {
        facts->interrupt_remapping &= facts->iommus[i].abilities >> IOMMU_REMAPS_INTERRUPTS & 1;
    }
}
