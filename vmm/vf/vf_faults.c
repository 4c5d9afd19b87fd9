/* SPDX-License-Identifier: BSD-2-Clause */
/* What the IOMMU has blocked, charged to the VM whose VF it was. */
#include "drivers/iommu/iommu_edge.h"
#include "vmm/vf/vf_internal.h"

void vf_poll_faults(void)
{
    if (iommu_facts()->ready) {
        (void)iommu_poll_faults();
    }
}

/* Called on one CPU at a time, under the fault lock. */
void iommu_edge_fault(const struct iommu_fault *fault)
{
    struct vf_set *set = fault->owned ? vf_set_at(fault->owner) : NULL;

    if (set) {
        __atomic_fetch_add(&set->faults, 1, __ATOMIC_RELAXED);
        guest_log(&set->fault_log, LOG_WARN, "VF " BDF_FORMAT ": %s at 0x%lx was blocked: %s",
                  BDF_ARGS(fault->bdf), iommu_fault_kind(fault), fault->address, fault->reason);
    }
}
