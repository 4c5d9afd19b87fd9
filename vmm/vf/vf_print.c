/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFs of VMs, for the operator. */
#include "vmm/host/vector.h"
#include "vmm/vf/vf_internal.h"

static void print_vf(const struct vf *vf, print_line *print)
{
    const struct legacy_function *function = &vf->function;
    const struct legacy_counters *counters = &function->counters;
    const char *type = virtio_type_name(vf->setup.type);

    print("  slot %u: %s VF " BDF_FORMAT "%s", vf->setup.slot, type ? type : "?",
          BDF_ARGS(vf->setup.vf), function->state.lost ? ", lost" : "");
    print("    registers: %lu reads, %lu writes, %lu commands refused, %lu accesses to "
          "none",
          counters->reads, counters->writes, counters->refused, counters->ignored);
    print("    %lu notifies, %lu interrupts (%lu late), %lu messages (%lu invalid, %lu "
          "unclaimed), %lu INTx",
          counters->notifies, counters->interrupts, counters->interrupts_late, counters->messages,
          counters->messages_invalid, counters->messages_unclaimed, counters->intx);
    if (vf->pf && vf->pf->virtio.has_admin) {
        struct virtio_admin_counters sent = virtio_admin_count(&vf->pf->virtio.admin);

        print("    its PF: %lu commands, %lu tries again, %lu failed, %lu not answered", sent.sent,
              sent.retried, sent.failed, sent.timed_out);
    }
}

static void print_held(print_line *print)
{
    struct iommu_counters iommu = iommu_counters();

    print("  all VMs: %u domains, %u functions, %u interrupts, %u vectors, %lu pages of "
          "tables, %lu lost; %lu accesses blocked (%lu times more than could be recorded), "
          "%lu stray interrupts",
          iommu.domains, iommu.functions, iommu.irqs, vector_count(), iommu.table_pages,
          iommu.lost_pages, iommu.faults, iommu.faults_lost, vector_strays());
}

void vf_print(const struct vf_set *set, print_line *print)
{
    if (set->count == 0) {
        return;
    }
    print("  %u accesses of its VFs blocked", set->faults);
    print_held(print);
    for (uint32_t i = 0; i < set->count; i++) {
        print_vf(set->vf[i], print);
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
        /* Once: another CPU may be about to reset its PF, and forgets it then. */
        const struct pci_vf *pci = __atomic_load_n(&vf->pci, __ATOMIC_RELAXED);

        states->used += vf->attached;
        states->fresh += !vf->attached && fresh;
        states->unset += !vf->attached && !fresh;
        states->masters += pci && pci->master.held;
    }
}

void vf_print_all(print_line *print)
{
    struct states states = {0};

    for (unsigned i = 0; i < CONFIG_VMS_MAX; i++) {
        if (vf_set_at(i)) {
            count_states(vf_set_at(i), &states);
        }
    }
    print("  VFs: %u in use, %u reset, %u to be reset; %u may do DMA", states.used, states.fresh,
          states.unset, states.masters);
    print("  DMA: %lu KiB of VMs' and the VMM's memory mapped",
          iommu_counters().mapped_bytes >> 10);
    print_held(print);
}
