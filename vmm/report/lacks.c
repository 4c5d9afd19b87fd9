/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/report/features.h"

/* Conditions of the machine beyond single CPU features. */
enum condition {
    CONDITION_VENDOR,
    CONDITION_SVM_OFF,
    CONDITION_VMX_OFF,
    CONDITION_MEMORY,
    CONDITION_ACPI,
    CONDITION_ECAM,
    CONDITION_IOMMU,
    CONDITION_IOMMU_SILENT,
    CONDITION_IOMMU_TABLE,
    CONDITION_PFS,
    CONDITION_VF_BARS,
    CONDITION_CPUS,
    CONDITION_INTERRUPT_REMAPPING,
    CONDITION_ARI,
    CONDITION_COUNT
};

/* One line would hold the widest of each column. */
/* clang-format off */
static const struct lack conditions[CONDITION_COUNT] = {
    [CONDITION_VENDOR] = {
        "CPU",
        "only AMD and Intel CPUs are supported",
        LACK_NEEDED
    },
    [CONDITION_SVM_OFF] = {
        "SVM is switched off",
        "enable SVM Mode in the firmware set-up (often under CPU configuration or Advanced > "
        "AMD CBS)",
        LACK_NEEDED
    },
    [CONDITION_VMX_OFF] = {
        "VMX is switched off",
        "enable Intel Virtualization Technology (VT-x) in the firmware set-up (often under "
        "CPU configuration), then power the machine off and on",
        LACK_NEEDED
    },
    [CONDITION_MEMORY] = {
        "no 2M run of memory",
        "VMs get their memory in 2M pages; add memory, or reduce what firmware reserves",
        LACK_NEEDED
    },
    [CONDITION_ACPI] = {
        "no ACPI tables",
        "one CPU, old-style PCI and no IOMMU; boot through UEFI, or enable ACPI in the "
        "firmware set-up",
        LACK_PASSTHROUGH
    },
    [CONDITION_ECAM] = {
        "no ECAM",
        "SR-IOV is out of reach; enable MMCONFIG / PCIe extended configuration in the "
        "firmware set-up (machines without PCIe have none)",
        LACK_PASSTHROUGH
    },
    [CONDITION_IOMMU] = {
        "no IOMMU",
        "enable VT-d (Intel) or IOMMU (AMD) in the firmware set-up, often under North Bridge "
        "or Advanced > AMD CBS > NBIO",
        LACK_PASSTHROUGH
    },
    [CONDITION_IOMMU_SILENT] = {
        "an IOMMU is silent",
        "the firmware's table names one that does not answer; update the firmware, or disable"
        " and enable VT-d / IOMMU in its set-up",
        LACK_PASSTHROUGH
    },
    [CONDITION_IOMMU_TABLE] = {
        "IOMMU table is broken",
        "parts of DMAR or IVRS make no sense (see the warnings above), so devices cannot be "
        "isolated for sure; update the firmware",
        LACK_PASSTHROUGH
    },
    [CONDITION_PFS] = {
        "no virtio SR-IOV device",
        "no virtio function can have VFs; enable SR-IOV support in the firmware set-up and on"
        " the card",
        LACK_PASSTHROUGH
    },
    [CONDITION_VF_BARS] = {
        "VFs without addresses",
        "the firmware placed none of a device's VFs; the VMM does, if the bridges above have "
        "room. If it says that they have none, enable SR-IOV support and Above 4G decoding in"
        " the firmware set-up",
        LACK_WANTED
    },
    [CONDITION_CPUS] = {
        "CPUs not started",
        "some CPUs did not answer and are not used (see the warnings above); update the "
        "firmware if it happens again",
        LACK_WANTED
    },
    [CONDITION_INTERRUPT_REMAPPING] = {
        "no interrupt remapping",
        "a VF could send any interrupt to any CPU; enable interrupt remapping (with VT-d / "
        "IOMMU) in the firmware set-up",
        LACK_PASSTHROUGH
    },
    [CONDITION_ARI] = {
        "no ARI",
        "a device behind a port without ARI can have few VFs; enable ARI support in the "
        "firmware set-up, or use another slot",
        LACK_WANTED
    },
};
/* clang-format on */

static bool any_iommu_silent(const struct platform_facts *facts)
{
    bool silent = false;

    for (uint32_t i = 0; i < facts->iommu_count; i++) {
        silent |= !facts->iommus[i].answers;
    }
    return silent;
}

static bool iommu_table_broken(const struct acpi_facts *acpi)
{
    return (acpi->dmar.present && !acpi->dmar.complete) ||
           (acpi->ivrs.present && !acpi->ivrs.complete);
}

bool iommus_usable(const struct platform_facts *facts)
{
    return facts->iommu_count > 0 && !any_iommu_silent(facts) && !iommu_table_broken(facts->acpi);
}

static bool condition_holds(const struct platform_facts *facts, enum condition condition)
{
    const struct acpi_facts *acpi = facts->acpi;
    bool off = facts->virtualization == VIRTUALIZATION_OFF;
    const bool holds[CONDITION_COUNT] = {
        [CONDITION_VENDOR] = facts->vendor == CPU_VENDOR_OTHER,
        [CONDITION_SVM_OFF] = off && facts->vendor == CPU_VENDOR_AMD,
        [CONDITION_VMX_OFF] = off && facts->vendor == CPU_VENDOR_INTEL,
        [CONDITION_MEMORY] = facts->memory.largest < PAGE_SIZE_2M,
        [CONDITION_ACPI] = !acpi->present,
        /* Without ACPI these two go without saying. */
        [CONDITION_ECAM] = acpi->present && acpi->mcfg.ecam_count == 0,
        [CONDITION_IOMMU] = acpi->present && facts->iommu_count == 0,
        [CONDITION_IOMMU_SILENT] = any_iommu_silent(facts),
        [CONDITION_IOMMU_TABLE] = iommu_table_broken(acpi),
        [CONDITION_PFS] = acpi->mcfg.ecam_count > 0 && facts->pfs == 0,
        [CONDITION_VF_BARS] = facts->pfs_without_bars > 0,
        [CONDITION_CPUS] = facts->cpus_started<facts->cpus_found, [CONDITION_INTERRUPT_REMAPPING] =
                                                                      facts->iommu_count> 0 &&
                           !facts->interrupt_remapping,
        [CONDITION_ARI] = facts->pfs_without_ari > 0,
    };

    return holds[condition];
}

static bool feature_lacks(const struct platform_facts *facts, uint32_t id)
{
    const struct feature *feature = &features[id];
    bool ours = feature->vendor == CPU_VENDOR_OTHER || feature->vendor == facts->vendor;

    return ours && !facts->features[id] &&
           (feature->parent == id || facts->features[feature->parent]);
}

/* Lack number INDEX of those there can be; false when the machine has it. */
static bool lack_at(const struct platform_facts *facts, uint32_t index, struct lack *lack)
{
    if (index < CONDITION_COUNT) {
        *lack = conditions[index];
        return condition_holds(facts, (enum condition)index);
    }
    index -= CONDITION_COUNT;
    *lack = (struct lack){
        .name = features[index].name,
        .remedy = features[index].remedy,
        .need = features[index].need == FEATURE_NEEDED ? LACK_NEEDED : LACK_WANTED,
    };
    return feature_lacks(facts, index);
}

bool lack_next(const struct platform_facts *facts, uint32_t *cursor, struct lack *lack)
{
    const uint32_t all = CONDITION_COUNT + FEATURE_COUNT;

    /* Once through the list for each degree of need. */
    while (*cursor < LACK_NEEDS * all) {
        enum lack_need need = (enum lack_need)(*cursor / all);
        uint32_t index = *cursor % all;

        ++*cursor;
        if (lack_at(facts, index, lack) && lack->need == need) {
            return true;
        }
    }
    return false;
}
