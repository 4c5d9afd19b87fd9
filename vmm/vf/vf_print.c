/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFs of a VM on the operator's console. */
#include "vmm/console/console.h"
#include "vmm/host/vector.h"
#include "vmm/vf/vf_internal.h"

static void print_vf(const struct vf *vf)
{
    const struct legacy_function *function = &vf->function;
    const struct legacy_counters *counters = &function->counters;
    const char *type = virtio_type_name(vf->setup.type);

    console_print("  slot %u: %s VF " BDF_FORMAT "%s", vf->setup.slot, type ? type : "?",
                  BDF_ARGS(vf->setup.vf), function->lost ? ", lost" : "");
    console_print("    registers: %lu reads, %lu writes, %lu commands refused, %lu accesses to "
                  "none",
                  counters->reads, counters->writes, counters->refused, counters->ignored);
    console_print("    %lu notifies, %lu interrupts (%lu late), %lu messages (%lu invalid, %lu "
                  "unclaimed), %lu INTx",
                  counters->notifies, counters->interrupts, counters->interrupts_late,
                  counters->messages, counters->messages_invalid, counters->messages_unclaimed,
                  counters->intx);
    if (vf->pf && vf->pf->virtio.has_admin) {
        struct virtio_admin_counters sent = virtio_admin_count(&vf->pf->virtio.admin);

        console_print("    its PF: %lu commands, %lu tries again, %lu failed, %lu not answered",
                      sent.sent, sent.retried, sent.failed, sent.timed_out);
    }
}

static void print_held(void)
{
    struct iommu_counters iommu = iommu_counters();

    console_print("  all VMs: %u domains, %u functions, %u interrupts, %u vectors, %lu pages of "
                  "tables, %lu lost; %lu accesses blocked, %lu stray interrupts",
                  iommu.domains, iommu.functions, iommu.irqs, vector_count(), iommu.table_pages,
                  iommu.lost_pages, iommu.faults, vector_strays());
}

void vf_print(const struct vm *vm)
{
    const struct vf_set *set = vm->vfs;

    if (!set) {
        return;
    }
    console_print("  %u accesses of its VFs blocked", set->faults);
    print_held();
    for (uint32_t i = 0; i < set->count; i++) {
        print_vf(set->vf[i]);
    }
}

/* What VFs of VMs are now: each is one of these. */
struct states {
    unsigned used;    /* by a VM that runs */
    unsigned fresh;   /* nobody uses it, and it was reset after its last use */
    unsigned unset;   /* nobody uses it; it is reset before its next use */
    unsigned masters; /* of all: may do DMA */
};

static void count_states(const struct vf_set *set, struct states *states)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vf *vf = set->vf[i];
        bool fresh = __atomic_load_n(&vf->fresh, __ATOMIC_ACQUIRE);

        states->used += vf->attached;
        states->fresh += !vf->attached && fresh;
        states->unset += !vf->attached && !fresh;
        states->masters += vf->pci && vf->pci->master.held;
    }
}

void vf_print_all(void)
{
    struct states states = {0};

    for (unsigned i = 0; i < vm_count(); i++) {
        if (vm_by_index(i)->vfs) {
            count_states(vm_by_index(i)->vfs, &states);
        }
    }
    console_print("  VFs: %u in use, %u reset, %u to be reset; %u may do DMA", states.used,
                  states.fresh, states.unset, states.masters);
    console_print("  DMA: %lu KiB of VMs' and the VMM's memory mapped",
                  iommu_counters().mapped_bytes >> 10);
    print_held();
}
