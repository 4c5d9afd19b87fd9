/* SPDX-License-Identifier: BSD-2-Clause */
/* What the IOMMU has blocked, charged to the VM whose VF it was. */
#include "vmm/assign/internal.h"

void assign_poll_faults(void)
{
    if (iommu_facts()->ready) {
        (void)iommu_poll_faults();
    }
}

void iommu_edge_fault(const struct iommu_fault *fault)
{
    struct vm *vm = fault->owned ? vm_by_index(fault->owner) : NULL;

    if (!vm || !vm->assign) {
        return;
    }
    __atomic_fetch_add(&vm->assign->faults, 1, __ATOMIC_RELAXED);
    vm_complain(vm, "VF " BDF_FORMAT ": %s at 0x%lx was blocked: %s", BDF_ARGS(fault->bdf),
                fault->interrupt ? "an interrupt"
                : fault->write   ? "a write"
                                 : "a read",
                fault->address, fault->reason);
}
