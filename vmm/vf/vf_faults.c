/* SPDX-License-Identifier: BSD-2-Clause */
/* What the IOMMU has blocked, charged to the VM whose VF it was. */
#include "vmm/base/log.h"
#include "vmm/host/time.h"
#include "vmm/vf/vf_internal.h"

void vf_poll_faults(void)
{
    if (iommu_facts()->ready) {
        (void)iommu_poll_faults();
    }
}

static const char *kind_of(const struct iommu_fault *fault)
{
    if (fault->interrupt) {
        return "an interrupt";
    }
    return fault->write ? "a write" : "a read";
}

/*
 * Not guest_log(): its messages are few, and a guest could use them up before it lets its VF
 * loose. Called on one CPU at a time, under the fault lock.
 */
void iommu_edge_fault(const struct iommu_fault *fault)
{
    struct vf_set *set = fault->owned ? vf_set_at(fault->owner) : NULL;
    uint64_t dropped = 0;

    if (!set) {
        return;
    }
    __atomic_fetch_add(&set->faults, 1, __ATOMIC_RELAXED);
    if (!log_limit_pass(&set->fault_limit, time_now_ns(), &dropped)) {
        return;
    }
    if (dropped > 0) {
        log_warn("VM '%s': %lu more accesses of its VFs were blocked, too fast to log each",
                 set->owner.config->name, dropped);
    }
    log_warn("VM '%s': VF " BDF_FORMAT ": %s at 0x%lx was blocked: %s", set->owner.config->name,
             BDF_ARGS(fault->bdf), kind_of(fault), fault->address, fault->reason);
}
