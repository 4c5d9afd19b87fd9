/* SPDX-License-Identifier: BSD-2-Clause */
/* From CPUID and MSRs to struct platform_facts, and from that to what the configuration is checked
 * against. */
#include "drivers/pci/scan.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/msr.h"
#include "vmm/report/features.h"

#include <string.h>

#define LEAF_VENDOR    0x00000000U
#define LEAF_SIGNATURE 0x00000001U
#define LEAF_EXTENDED  0x80000000U
#define LEAF_BRAND     0x80000002U /* and the two after it */
#define LEAF_WIDTHS    0x80000008U
#define LEAF_SVM       0x8000000aU

#define VPIDS 65536U

static enum cpu_vendor vendor_read(void)
{
    struct cpuid id = cpuid_read(LEAF_VENDOR, 0);
    char name[12];

    memcpy(name, &id.ebx, 4);
    memcpy(name + 4, &id.edx, 4);
    memcpy(name + 8, &id.ecx, 4);
    /* Hygon's CPUs are AMD's design, under a licence. */
    if (memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0) {
        return CPU_VENDOR_AMD;
    }
    return memcmp(name, "GenuineIntel", 12) == 0 ? CPU_VENDOR_INTEL : CPU_VENDOR_OTHER;
}

/* The brand string, without what is not printable and without spaces at its ends. */
static void brand_read(char brand[49])
{
    struct cpuid parts[3];
    char raw[sizeof(parts)];
    size_t used = 0;

    for (uint32_t i = 0; i < 3; i++) {
        parts[i] = report_leaf(LEAF_BRAND + i);
    }
    memcpy(raw, parts, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw) && raw[i] != '\0'; i++) {
        bool space = raw[i] == ' ';

        if (raw[i] > ' ' && raw[i] < 0x7f) {
            brand[used++] = raw[i];
        } else if (space && used > 0 && brand[used - 1] != ' ') {
            brand[used++] = ' ';
        }
    }
    brand[used] = '\0';
    if (used > 0 && brand[used - 1] == ' ') {
        brand[used - 1] = '\0';
    }
}

/* Family and model as the vendors display them: SDM volume 2 and APM volume 3, CPUID leaf 1. */
static void signature_read(struct platform_facts *facts)
{
    uint32_t eax = report_leaf(LEAF_SIGNATURE).eax;
    uint32_t family = eax >> 8 & 0xfU;

    facts->stepping = eax & 0xfU;
    facts->model = eax >> 4 & 0xfU;
    facts->family = family == 0xf ? family + (eax >> 20 & 0xffU) : family;
    if (family == 0xf || (family == 6 && facts->vendor == CPU_VENDOR_INTEL)) {
        facts->model |= eax >> 12 & 0xf0U;
    }
}

static bool feature_read(const struct feature *feature)
{
    uint64_t value = 0;

    if (feature->source == SOURCE_MSR) {
        return msr_read(feature->where, &value) == STATUS_OK && (value >> feature->bit & 1U) != 0;
    }
    struct cpuid leaf = report_leaf(feature->where);

    return ((feature->source == SOURCE_ECX ? leaf.ecx : leaf.edx) >> feature->bit & 1U) != 0;
}

/* Parents stand before their children in the table. */
static void features_read(struct platform_facts *facts)
{
    for (uint32_t i = 0; i < FEATURE_COUNT; i++) {
        const struct feature *feature = &features[i];
        bool ours = feature->vendor == CPU_VENDOR_OTHER || feature->vendor == facts->vendor;
        bool open = feature->parent == i || facts->features[feature->parent];

        facts->features[i] = ours && open && feature_read(feature);
    }
}

static enum virtualization_lock lock_read(const struct platform_facts *facts)
{
    uint64_t value;

    if (facts->features[FEATURE_SVM]) {
        /* APM volume 2, section 15.4: SVMDIS is final only with LOCK. */
        if (msr_read(MSR_VM_CR, &value) != STATUS_OK) {
            return VIRTUALIZATION_UNKNOWN;
        }
        return (value & VM_CR_SVMDIS) != 0 && (value & VM_CR_LOCK) != 0 ? VIRTUALIZATION_OFF
                                                                        : VIRTUALIZATION_OPEN;
    }
    if (facts->features[FEATURE_VMX]) {
        /* SDM volume 3, section 24.7: unlocked, the VMM sets the bits and locks them itself. */
        if (msr_read(MSR_FEATURE_CONTROL, &value) != STATUS_OK) {
            return VIRTUALIZATION_UNKNOWN;
        }
        return (value & FEATURE_CONTROL_LOCK) != 0 && (value & FEATURE_CONTROL_VMXON) == 0
                   ? VIRTUALIZATION_OFF
                   : VIRTUALIZATION_OPEN;
    }
    return VIRTUALIZATION_ABSENT;
}

static void cpu_gather(struct platform_facts *facts)
{
    uint32_t width;

    facts->vendor = (uint8_t)vendor_read();
    brand_read(facts->brand);
    signature_read(facts);
    width = report_leaf(LEAF_WIDTHS).eax & 0xffU;
    facts->physical_width = width != 0 ? width : 36;
    features_read(facts);
    facts->thread_bits = report_thread_bits();
    facts->virtualization = (uint8_t)lock_read(facts);
    if (facts->features[FEATURE_SVM]) {
        facts->asids = report_leaf(LEAF_SVM).ebx;
    } else if (facts->features[FEATURE_VMX_VPID]) {
        facts->asids = VPIDS;
    }
}

/* Has firmware given VF BARs an address? */
static bool vfs_have_bars(const struct pci_sriov *sriov)
{
    bool have = false;

    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        have |= sriov->bars[i].base != 0;
    }
    return have;
}

static void virtio_gather(struct platform_facts *facts)
{
    facts->virtio = virtio_function_at(0);
    facts->virtio_count = virtio_count();
    for (uint32_t i = 0; i < facts->virtio_count; i++) {
        const struct virtio_function *function = &facts->virtio[i];
        const struct pci_function *port =
            pci_upstream(function->pci->bdf.segment, function->pci->bdf.bus);

        if (function->has_sriov && function->sriov.total_vfs > 0) {
            facts->pfs++;
            facts->pfs_without_bars += !vfs_have_bars(&function->sriov);
            facts->pfs_without_ari += port != NULL && !port->ari_supported;
        }
    }
}

void report_gather(uint32_t cpus_started, struct frame_counters memory,
                   struct platform_facts *facts)
{
    memset(facts, 0, sizeof(*facts));
    facts->acpi = acpi_facts();
    facts->pci_count = pci_count();
    facts->cpus_found = facts->acpi->madt.cpu_count > 0 ? facts->acpi->madt.cpu_count : 1;
    facts->cpus_started = cpus_started;
    facts->memory = memory;
    cpu_gather(facts);
    iommu_gather(facts);
    virtio_gather(facts);
}

void report_config_machine(const struct platform_facts *facts, struct config_machine *machine)
{
    uint32_t cpus = ARRAY_SIZE(machine->cpu_usable);

    memset(machine, 0, sizeof(*machine));
    machine->can_run_vms = report_verdict(facts) != REPORT_CANNOT_RUN;
    machine->has_iommu = iommus_usable(facts);
    machine->cpu_count = facts->cpus_found < cpus ? facts->cpus_found : cpus;
    machine->memory = facts->memory.free;
    for (uint32_t i = 0; i < facts->virtio_count && i < ARRAY_SIZE(machine->pfs); i++) {
        const struct virtio_function *function = &facts->virtio[i];

        machine->pfs[machine->pf_count++] = (struct config_machine_pf){
            .bdf = function->pci->bdf,
            .has_sriov = function->has_sriov,
            .total_vfs = function->has_sriov ? function->sriov.total_vfs : 0};
    }
}
