/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupts of VFs: entries of their MSI-X tables, and vectors of the CPUs that run the VM. */
#include "vmm/base/msi.h"
#include "vmm/host/vector.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/vf/vf_internal.h"

static void handle(void *argument, unsigned entry)
{
    legacy_interrupt(argument, entry);
}

/*
 * The vCPU that the guest's message is for, so that its CPU leaves the guest at once and needs no
 * kick; vCPU 0 where that cannot be told. Only a matter of speed.
 */
static unsigned preferred(const struct vf *vf, unsigned entry)
{
    uint64_t address = vf->function.state.table[entry].address;
    unsigned target = MSI_DESTINATION(address);

    return vf->function.irq.msix && !MSI_IS_LOGICAL(address) &&
                   target < vf->set->owner.config->cpus.count
               ? target
               : 0;
}

/* A vector of the CPU that runs vCPU FIRST, or else of another one of the VM's. */
static enum status take_vector(struct vf *vf, unsigned entry, unsigned first)
{
    const struct config_cpus *cpus = &vf->set->owner.config->cpus;
    enum status status = STATUS_NO_MEMORY;

    for (unsigned i = 0; i < cpus->count && status == STATUS_NO_MEMORY; i++) {
        struct cpu *cpu = cpu_by_index(cpus->cpu[(first + i) % cpus->count]);
        struct vf_entry *to = &vf->entry[entry];

        status = vector_allocate(cpu, handle, &vf->function, entry, &to->vector);
        to->cpu = status == STATUS_OK ? cpu : NULL;
    }
    return status;
}

static void give_vector_back(struct vf_entry *entry)
{
    vector_free(entry->cpu, entry->vector);
    entry->cpu = NULL;
}

enum status legacy_edge_vector_open(struct legacy_function *function, unsigned entry)
{
    struct vf *vf = vf_of(function);
    struct vf_entry *to = &vf->entry[entry];
    struct iommu_message message;
    enum status status = take_vector(vf, entry, preferred(vf, entry));

    if (status == STATUS_OK) {
        status = iommu_irq_allocate(vf->pci->bdf, to->cpu->apic_id, to->vector, &to->irq, &message);
        if (status != STATUS_OK) {
            give_vector_back(to);
        }
    }
    if (status != STATUS_OK) {
        guest_log(vf->set->owner.log, LOG_WARN,
                  "VF " BDF_FORMAT " gets no interrupt for its entry %u (%s); its driver must "
                  "do with fewer",
                  BDF_ARGS(vf->pci->bdf), entry, status_name(status));
        return status;
    }
    status = pci_msix_set(&vf->msix, entry, message.address, message.data);
    if (status != STATUS_OK) {
        legacy_edge_vector_close(function, entry);
    }
    return status;
}

void legacy_edge_vector_close(struct legacy_function *function, unsigned entry)
{
    struct vf *vf = vf_of(function);
    struct vf_entry *to = &vf->entry[entry];

    if (!to->cpu) {
        return;
    }
    (void)pci_msix_mask(&vf->msix, entry, true);
    (void)iommu_irq_free(to->irq);
    give_vector_back(to);
    /* A handler that ran until now may have unmasked it. */
    (void)pci_msix_mask(&vf->msix, entry, true);
}

void legacy_edge_vector_mask(struct legacy_function *function, unsigned entry, bool masked)
{
    (void)pci_msix_mask(&vf_of(function)->msix, entry, masked);
}
