/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capability report: the first screen. What this machine has, what is missing, what that
 * costs, and what to change in the firmware set-up. docs/report.md explains it line by line.
 *
 * struct platform_facts is what the VMM knows about the machine it runs on, in one place: for the
 * report, for the check of the configuration against the machine, and for whoever asks whether a
 * feature is there.
 */
#ifndef PORTOLAN_VMM_REPORT_REPORT_H
#define PORTOLAN_VMM_REPORT_REPORT_H

#include "drivers/acpi/acpi.h"
#include "drivers/virtio/device.h"
#include "vmm/config/config_check.h"
#include "vmm/host/frame.h"

/* What the table in vmm/report/features.c has a row for. */
enum feature_id {
    FEATURE_NX,
    FEATURE_PAGES_1G,
    FEATURE_X2APIC,
    FEATURE_INVARIANT_TSC,
    FEATURE_TSC_DEADLINE,
    FEATURE_SVM,
    FEATURE_SVM_NPT,
    FEATURE_SVM_NEXT_RIP,
    FEATURE_SVM_DECODE_ASSISTS,
    FEATURE_SVM_FLUSH_BY_ASID,
    FEATURE_SVM_CLEAN_BITS,
    FEATURE_SVM_PAUSE_FILTER,
    FEATURE_SVM_VGIF,
    FEATURE_SVM_AVIC,
    FEATURE_SVM_TSC_RATIO,
    FEATURE_SVM_LBR,
    FEATURE_VMX,
    FEATURE_VMX_EPT,
    FEATURE_VMX_EPT_LEVELS,
    FEATURE_VMX_EPT_2M,
    FEATURE_VMX_EPT_1G,
    FEATURE_VMX_EPT_WB,
    FEATURE_VMX_UNRESTRICTED,
    FEATURE_VMX_RDTSCP,
    FEATURE_VMX_INVEPT,
    FEATURE_VMX_INVEPT_ALL,
    FEATURE_VMX_INVEPT_SINGLE,
    FEATURE_VMX_VPID,
    FEATURE_VMX_TSC_SCALING,
    FEATURE_VMX_APIC_ACCESSES,
    FEATURE_VMX_APIC_REGISTERS,
    FEATURE_VMX_APIC_INTERRUPTS,
    FEATURE_VMX_POSTED_INTERRUPTS,
    FEATURE_VMX_PML,
    FEATURE_COUNT
};

enum cpu_vendor { CPU_VENDOR_OTHER, CPU_VENDOR_AMD, CPU_VENDOR_INTEL };

/* May software switch SVM or VMX on? */
enum virtualization_lock {
    VIRTUALIZATION_OPEN,    /* yes */
    VIRTUALIZATION_OFF,     /* no: firmware switched it off and locked that */
    VIRTUALIZATION_UNKNOWN, /* the control register cannot be read */
    VIRTUALIZATION_ABSENT   /* the CPU has none */
};

enum iommu_kind { IOMMU_VTD, IOMMU_AMDVI };

enum iommu_ability {
    IOMMU_REMAPS_INTERRUPTS,
    IOMMU_X2APIC, /* interrupts may go to APIC ids above 254 */
    IOMMU_QUEUED_INVALIDATION,
    IOMMU_PAGES_2M,
    IOMMU_PAGES_1G,
    IOMMU_POSTED_INTERRUPTS,
    IOMMU_COHERENT, /* snoops the caches when it walks tables */
    IOMMU_ABILITIES
};

#define PLATFORM_IOMMUS_MAX 64U

struct pc_iommu {
    hpa_t base;
    uint16_t segment;
    uint8_t kind;          /* enum iommu_kind */
    bool answers;          /* its registers were read; all below is false or 0 otherwise */
    uint8_t address_width; /* bits of DMA addresses that its page tables can translate */
    uint32_t abilities;    /* bits, 1 << enum iommu_ability */
};

struct platform_facts {
    uint8_t vendor;         /* enum cpu_vendor */
    uint8_t virtualization; /* enum virtualization_lock */
    char brand[49];         /* printable ASCII, trimmed, may be empty */
    uint32_t family;
    uint32_t model;
    uint32_t stepping;
    uint32_t physical_width; /* bits of physical addresses */
    uint32_t asids;          /* AMD: address space ids, 0 is the host's; Intel: 65536 with VPID */
    bool features[FEATURE_COUNT];

    uint32_t thread_bits; /* lowest bits of APIC ids that tell the threads of a core apart */
    uint32_t cpus_found;
    uint32_t cpus_started;
    struct frame_counters memory;

    bool interrupt_remapping; /* every IOMMU does it, and the firmware's table agrees */
    uint32_t iommu_count;
    struct pc_iommu iommus[PLATFORM_IOMMUS_MAX];

    /* Found by others, and theirs; constant. */
    const struct acpi_facts *acpi;
    const struct virtio_function *virtio; /* 'virtio_count' of them */
    uint32_t virtio_count;
    uint32_t pci_count; /* PCI functions */

    /* Of the virtio functions: */
    uint32_t pfs;              /* those that can have VFs */
    uint32_t pfs_without_bars; /* of them: firmware gave their VFs no addresses */
    uint32_t pfs_without_ari;  /* of them: below a port that cannot forward ARI ids */
};

enum report_verdict {
    REPORT_READY,          /* VMs with passthrough */
    REPORT_NO_PASSTHROUGH, /* VMs, but no device can be passed through */
    REPORT_CANNOT_RUN      /* something the VMM needs is missing */
};

/*
 * Read CPUID, MSRs and IOMMU registers of this machine into *FACTS, overwritten. ACPI, PCI and
 * virtio are taken from acpi_facts(), pci_scan() and virtio_discover(), which come before; what
 * only the core knows is given. Boot CPU.
 */
void report_gather(uint32_t cpus_started, struct frame_counters memory,
                   struct platform_facts *facts);

/* Write the report on FACTS to the log (level info), and return its verdict. Any CPU. */
enum report_verdict report_print(const struct platform_facts *facts);

/* The verdict alone. Pure. */
enum report_verdict report_verdict(const struct platform_facts *facts);

/*
 * Fill *MACHINE, overwritten, from FACTS, all but 'cpu_usable' and 'core', which only the
 * caller knows, who sets them for indices below machine->cpu_count. An IOMMU counts only if it can
 * be relied on: each unit answers, and the firmware's table is complete. Pure.
 */
void report_config_machine(const struct platform_facts *facts, struct config_machine *machine);

#endif
