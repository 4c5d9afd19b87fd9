/* SPDX-License-Identifier: BSD-2-Clause */
/* Queued invalidation. Intel VT-d specification 4.1, section 6.5.2. */
#include "drivers/iommu/hardware.h"
#include "drivers/iommu/vtd.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#define QUEUE_ENTRIES (PAGE_SIZE / sizeof(struct vtd_pair)) /* IQA.QS = 0 */
#define QUEUE_SHIFT   4U                                    /* from an index to IQH and IQT */

_Static_assert(QUEUE_ENTRIES == 256, "VT-d 4.1, 11.4.21: QS 0 is one page of 128-bit descriptors");

enum status vtd_queue_create(struct vtd_unit *unit)
{
    unit->queue = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->status = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    if (unit->queue == NULL || unit->status == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    shared_write_back(unit->status, sizeof(*unit->status));
    return STATUS_OK;
}

enum status vtd_queue_start(struct vtd_unit *unit)
{
    enum status status = STATUS_OK;

    if ((iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_QIE) != 0) {
        /* Firmware's: it may only be stopped when it is empty. */
        for (unsigned us = 0; us < IOMMU_WAIT_US && iommu_hw_read64(unit->registers, VTD_IQH) !=
                                                        iommu_hw_read64(unit->registers, VTD_IQT);
             us++) {
            time_delay_us(1);
        }
        status = vtd_unit_command(unit, 0, VTD_G_QIE);
    }
    if (status != STATUS_OK) {
        return status;
    }
    unit->tail = 0;
    iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_CLEAR);
    iommu_hw_write64(unit->registers, VTD_IQT, 0);
    iommu_hw_write64(unit->registers, VTD_IQA, pool_hpa(unit->queue).raw);
    return vtd_unit_command(unit, VTD_G_QIE, 0);
}

static void queue_put(struct vtd_unit *unit, struct vtd_pair descriptor)
{
    struct vtd_pair *entry = &unit->queue[unit->tail];

    shared_store(&entry->word[0], descriptor.word[0]);
    shared_store(&entry->word[1], descriptor.word[1]);
    if ((unit->ecap & VTD_ECAP_COHERENT) == 0) {
        shared_write_back(entry, sizeof(*entry));
    }
    unit->tail = (unit->tail + 1) % QUEUE_ENTRIES;
}

/* Has the unit written the value that the last wait descriptor asked for? */
static enum status queue_wait(struct vtd_unit *unit)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if ((uint32_t)shared_load(unit->status) == unit->sequence) {
            return STATUS_OK;
        }
        if ((iommu_hw_read32(unit->registers, VTD_FSTS) & VTD_FSTS_QUEUE_FAULT) != 0) {
            return STATUS_NOTE(STATUS_DEVICE);
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

enum status vtd_queue_run(struct vtd_unit *unit, const struct vtd_pair *descriptors, unsigned count)
{
    if (unit->failed) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    for (unsigned i = 0; i < count; i++) {
        queue_put(unit, descriptors[i]);
    }
    unit->sequence++;
    queue_put(unit, vtd_wait(pool_hpa(unit->status), unit->sequence));
    iommu_hw_write64(unit->registers, VTD_IQT, (uint64_t)unit->tail << QUEUE_SHIFT);

    enum status status = queue_wait(unit);

    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out an invalidation (%s): fault status %#x, queue at "
                 "%#llx of %#llx; nothing is assigned behind it any more",
                 unit->name, status_name(status), iommu_hw_read32(unit->registers, VTD_FSTS),
                 (unsigned long long)iommu_hw_read64(unit->registers, VTD_IQH),
                 (unsigned long long)iommu_hw_read64(unit->registers, VTD_IQT));
    }
    return status;
}
