/* SPDX-License-Identifier: BSD-2-Clause */
/* Primary fault logging. Intel VT-d specification 4.1, sections 7.1, 7.2, 11.4.9 and 11.4.14. */
#include "drivers/iommu/hardware.h"
#include "drivers/iommu/vtd.h"

static const char *const texts[] = {
    [0x01] = "the device is not assigned (no context table for its bus)",
    [0x02] = "the device is not assigned (no context entry)",
    [0x03] = "the context entry is invalid",
    [0x04] = "the address is beyond what the unit translates",
    [0x05] = "nothing is mapped there for writing",
    [0x06] = "nothing is mapped there for reading",
    [0x07] = "a page table could not be read",
    [0x08] = "the root table could not be read",
    [0x09] = "the context table could not be read",
    [0x0a] = "reserved bits are set in a root entry",
    [0x0b] = "reserved bits are set in a context entry",
    [0x0c] = "reserved bits are set in a page table",
    [0x0d] = "the device used translations of its own, which are off",
    [0x0e] = "the address is an interrupt's, but the request is none",
    [0x20] = "reserved bits are set in an interrupt request",
    [0x21] = "the interrupt's entry is beyond the table",
    [0x22] = "the interrupt is not allocated",
    [0x23] = "the interrupt table could not be read",
    [0x24] = "reserved bits are set in an interrupt entry",
    [0x25] = "the interrupt is not in the remappable format",
    [0x26] = "the interrupt belongs to another device",
};

const char *vtd_fault_text(unsigned reason)
{
    return reason < ARRAY_SIZE(texts) && texts[reason] != NULL ? texts[reason] : "unknown reason";
}

static void record_report(const struct vtd_unit *unit, uint64_t low, uint64_t high)
{
    unsigned reason = VTD_FAULT_REASON(high);
    bool interrupt = reason >= VTD_FAULT_IR_FIRST && reason <= VTD_FAULT_IR_LAST;
    struct iommu_fault fault = {
        .bdf = iommu_requester_bdf(unit->drhd->segment, VTD_FAULT_SOURCE(high)),
        .address = interrupt ? VTD_FAULT_IRQ(low) : VTD_FAULT_ADDRESS(low),
        .reason = vtd_fault_text(reason),
        .write = (high & VTD_FAULT_IS_READ) == 0,
        .interrupt = interrupt};

    iommu_fault_report(&fault);
}

static void unit_poll(struct vtd_unit *unit)
{
    uint32_t status = iommu_hw_read32(unit->registers, VTD_FSTS);

    if ((status & (VTD_FSTS_OVERFLOW | VTD_FSTS_PENDING)) == 0) {
        return;
    }
    /* A record that is filled while we look is seen now or at the next poll. */
    for (uint32_t i = 0; i < VTD_CAP_FAULTS(unit->cap); i++) {
        uint32_t at = VTD_CAP_FAULTS_AT(unit->cap) + i * VTD_FAULT_SIZE;
        uint64_t high = iommu_hw_read64(unit->registers, at + 8);

        if ((high & VTD_FAULT_PENDING) == 0) {
            continue;
        }
        uint64_t low = iommu_hw_read64(unit->registers, at);

        iommu_hw_write32(unit->registers, at + 12, (uint32_t)(VTD_FAULT_PENDING >> 32));
        record_report(unit, low, high);
    }
    if ((status & VTD_FSTS_OVERFLOW) != 0) {
        iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_OVERFLOW);
        iommu_fault_lost(unit->name);
    }
}

void vtd_fault_poll(void)
{
    for (uint32_t i = 0; i < vtd_unit_count; i++) {
        unit_poll(&vtd_units[i]);
    }
}
