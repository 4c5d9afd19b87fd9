/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFs of a VM on the operator's console. */
#include "vmm/assign/internal.h"
#include "vmm/console/console.h"
#include "vmm/cpu/vector.h"

static void print_vf(const struct assign_vf *vf)
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

void assign_print(const struct vm *vm)
{
    const struct assign *assign = vm->assign;

    if (!assign) {
        return;
    }
    struct iommu_counters iommu = iommu_counters();

    console_print("  %u accesses of its VFs blocked", assign->faults);
    console_print("  all VMs: %u domains, %u functions, %u interrupts, %u vectors, %lu pages of "
                  "tables, %lu lost; %lu accesses blocked, %lu stray interrupts",
                  iommu.domains, iommu.functions, iommu.irqs, vector_count(), iommu.table_pages,
                  iommu.lost_pages, iommu.faults, vector_strays());
    for (uint32_t i = 0; i < assign->count; i++) {
        print_vf(assign->vf[i]);
    }
}
