/* SPDX-License-Identifier: BSD-2-Clause */
/* One AMD-Vi unit: what it can do, and the order in which it is switched on. */
#include "drivers/iommu/amdvi.h"
#include "drivers/iommu/hardware.h"
#include "drivers/pci/pci_config.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/pool.h"

#define ALL_ONES (~0ULL)

/*
 * What the unit's own PCI function says. Not its enable bit: firmware locks the registers on, and
 * QEMU's unit shows 0 there and answers. Whether it does is seen at the registers.
 */
static void capability_read(struct amdvi_unit *unit)
{
    uint32_t header = pci_config_read(unit->ivhd->bdf, unit->ivhd->capability, 4);

    /* All ones where the bus cannot be reached: the cautious reading. */
    unit->caches_absent = (header & AMDVI_CAP_NPCACHE) != 0;
}

enum status amdvi_unit_open(struct amdvi_unit *unit, const struct acpi_ivhd *ivhd)
{
    *unit = (struct amdvi_unit){.ivhd = ivhd};
    (void)format(unit->name, sizeof(unit->name), "AMD-Vi at %#llx",
                 (unsigned long long)ivhd->base.raw);
    capability_read(unit);
    unit->registers = map_physical(ivhd->base, AMDVI_REGISTERS_SIZE, MAP_DEVICE);
    unit->commands = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->events = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->status = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    if (unit->registers == NULL || unit->commands == NULL || unit->events == NULL ||
        unit->status == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    unit->features = iommu_hw_read64(unit->registers, AMDVI_FEATURES);
    if (unit->features == ALL_ONES) {
        log_warn("IOMMU: %s does not answer, though firmware's IVRS table names it", unit->name);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

/* Tables and rings may only be changed while the unit is off. Section 3.4. */
static enum status unit_stop(struct amdvi_unit *unit)
{
    uint64_t control = iommu_hw_read64(unit->registers, AMDVI_CONTROL);

    iommu_hw_write64(unit->registers, AMDVI_CONTROL,
                     control & ~(AMDVI_C_COMMANDS | AMDVI_C_EVENTS | AMDVI_C_ENABLE));
    return iommu_wait64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENTS_RUN | AMDVI_S_COMMANDS_RUN,
                        0);
}

/* What firmware wants of this unit, by the flags of its IVRS block. Section 5.2.2.1. */
static uint64_t control_of_flags(uint8_t flags)
{
    return ((flags & AMDVI_IVHD_HT_TUNNEL) != 0 ? AMDVI_C_HT_TUNNEL : 0) |
           ((flags & AMDVI_IVHD_PASS_PW) != 0 ? AMDVI_C_PASS_PW : 0) |
           ((flags & AMDVI_IVHD_RESPONSE_PW) != 0 ? AMDVI_C_RESPONSE_PW : 0) |
           ((flags & AMDVI_IVHD_ISOCHRONOUS) != 0 ? AMDVI_C_ISOCHRONOUS : 0);
}

static void rings_set(struct amdvi_unit *unit)
{
    unit->tail = 0;
    iommu_hw_write64(unit->registers, AMDVI_COMMANDS,
                     pool_hpa(unit->commands).raw | AMDVI_RING_LENGTH);
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_HEAD, 0);
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_TAIL, 0);
    iommu_hw_write64(unit->registers, AMDVI_EVENTS, pool_hpa(unit->events).raw | AMDVI_RING_LENGTH);
    iommu_hw_write64(unit->registers, AMDVI_EVENT_HEAD, 0);
    iommu_hw_write64(unit->registers, AMDVI_EVENT_TAIL, 0);
}

enum status amdvi_unit_start(struct amdvi_unit *unit, hpa_t devices, uint64_t size, bool x2apic)
{
    uint64_t control = control_of_flags(unit->ivhd->flags) | AMDVI_C_COHERENT | AMDVI_C_TIMEOUT_1S |
                       (x2apic ? AMDVI_C_WIDE_IRQS | AMDVI_C_X2APIC : 0);
    uint64_t table = devices.raw | (size / PAGE_SIZE - 1);
    enum status status = unit_stop(unit);

    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, AMDVI_DEVICE_TABLE, table);
        /* Registers that firmware left off, or that are not there, hold nothing. */
        status = iommu_hw_read64(unit->registers, AMDVI_DEVICE_TABLE) == table
                     ? STATUS_OK
                     : STATUS_NOTE(STATUS_DEVICE);
    }
    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, AMDVI_EXCLUSION_BASE, 0); /* firmware's hole is closed */
        iommu_hw_write64(unit->registers, AMDVI_EXCLUSION_LIMIT, 0);
        rings_set(unit);
        iommu_hw_write64(unit->registers, AMDVI_STATUS, AMDVI_S_EVENT_OVERFLOW | AMDVI_S_EVENT_INT);
        /* Formats first, then the rings, which run only once the unit is on. */
        iommu_hw_write64(unit->registers, AMDVI_CONTROL, control);
        control |= AMDVI_C_EVENTS | AMDVI_C_COMMANDS | AMDVI_C_ENABLE;
        iommu_hw_write64(unit->registers, AMDVI_CONTROL, control);
        status =
            iommu_wait64(unit->registers, AMDVI_STATUS, AMDVI_S_COMMANDS_RUN, AMDVI_S_COMMANDS_RUN);
    }
    if (status == STATUS_OK) {
        status = amdvi_command_forget_all(unit, (uint16_t)(size / sizeof(struct amdvi_device) - 1));
    }
    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not start (%s): control %#llx, status %#llx", unit->name,
                 status_name(status),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_CONTROL),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_STATUS));
    }
    return status;
}
