/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/report/report_machine.h"

#include "vmm/report/report.h"

#include <string.h>

static bool iommu_usable(const struct platform_facts *facts)
{
    const struct acpi_facts *acpi = facts->acpi;
    bool usable = facts->iommu_count > 0;

    for (uint32_t i = 0; i < facts->iommu_count; i++) {
        usable &= facts->iommus[i].answers;
    }
    return usable && (!acpi->dmar.present || acpi->dmar.complete) &&
           (!acpi->ivrs.present || acpi->ivrs.complete);
}

void report_config_machine(const struct platform_facts *facts, struct config_machine *machine)
{
    uint32_t cpus = ARRAY_SIZE(machine->cpu_usable);

    memset(machine, 0, sizeof(*machine));
    machine->can_run_vms = report_verdict(facts) != REPORT_CANNOT_RUN;
    machine->has_iommu = iommu_usable(facts);
    machine->cpu_count = facts->cpus_found < cpus ? facts->cpus_found : cpus;
    machine->memory = facts->memory_usable;
    for (uint32_t i = 0; i < facts->virtio_count && i < ARRAY_SIZE(machine->pfs); i++) {
        const struct virtio_function *function = &facts->virtio[i];

        machine->pfs[machine->pf_count++] = (struct config_machine_pf){
            .bdf = function->pci->bdf,
            .has_sriov = function->has_sriov,
            .total_vfs = function->has_sriov ? function->sriov.total_vfs : 0};
    }
}
