/* SPDX-License-Identifier: BSD-2-Clause */
/* The command buffer. AMD I/O Virtualization Technology Specification 3.08, section 2.4. */
#include "drivers/iommu/amdvi.h"
#include "drivers/iommu/hardware.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

_Static_assert(AMDVI_BATCH_MAX + 2 < AMDVI_RING_ENTRIES,
               "a batch and its wait never fill the ring");
_Static_assert(AMDVI_RING_ENTRIES * sizeof(struct amdvi_entry) == PAGE_SIZE, "a page each");

static void command_put(struct amdvi_unit *unit, struct amdvi_entry command)
{
    struct amdvi_entry *entry = &unit->commands[unit->tail];

    shared_store(&entry->word[0], command.word[0]);
    shared_store(&entry->word[1], command.word[1]);
    unit->tail = (unit->tail + 1) % AMDVI_RING_ENTRIES;
}

static enum status command_wait(const struct amdvi_unit *unit)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if (shared_load(unit->status) == unit->sequence) {
            return STATUS_OK;
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

enum status amdvi_command_run(struct amdvi_unit *unit, const struct amdvi_entry *commands,
                              unsigned count)
{
    if (unit->failed) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    for (unsigned i = 0; i < count; i++) {
        command_put(unit, commands[i]);
    }
    unit->sequence++;
    command_put(unit, amdvi_wait(pool_hpa(unit->status), unit->sequence));
    iommu_hw_write64(unit->registers, AMDVI_COMMAND_TAIL,
                     (uint64_t)unit->tail << AMDVI_ENTRY_SHIFT);
    enum status status = command_wait(unit);

    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out a command within %u ms: status %#llx, commands at "
                 "%#llx of %#llx; nothing is assigned behind it any more",
                 unit->name, IOMMU_WAIT_US / 1000,
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_STATUS),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_COMMAND_HEAD),
                 (unsigned long long)iommu_hw_read64(unit->registers, AMDVI_COMMAND_TAIL));
    }
    return status;
}

/* Units without INVALIDATE_IOMMU_ALL are told of every id and every domain that we will use. */
static enum status forget_each(struct amdvi_unit *unit, uint16_t last)
{
    struct amdvi_entry batch[AMDVI_BATCH_MAX];
    unsigned count = 0;
    enum status status = STATUS_OK;

    for (uint32_t id = 0; id <= last && status == STATUS_OK; id++) {
        batch[count++] = amdvi_invalidate_device((uint16_t)id);
        batch[count++] = amdvi_invalidate_irqs((uint16_t)id);
        if (count == AMDVI_BATCH_MAX || id == last) {
            status = amdvi_command_run(unit, batch, count);
            count = 0;
        }
    }
    for (uint16_t domain = 0; domain <= IOMMU_DOMAINS_MAX && status == STATUS_OK; domain++) {
        struct amdvi_entry forget = amdvi_invalidate_domain(domain);

        status = amdvi_command_run(unit, &forget, 1);
    }
    return status;
}

enum status amdvi_command_forget_all(struct amdvi_unit *unit, uint16_t last)
{
    const struct amdvi_entry all = amdvi_invalidate_all();

    return (unit->features & AMDVI_F_INVALIDATE_ALL) != 0 ? amdvi_command_run(unit, &all, 1)
                                                          : forget_each(unit, last);
}
