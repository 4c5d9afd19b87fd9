/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/report/features.h"

#include <string.h>

#define COLUMNS      88U /* with the log's time before it a line keeps within 102 */
#define TEXT_MAX     768U
#define VIRTIO_LINES 12U
#define ECAM_LINES   4U

/* Text that grows; what does not fit is cut. */
struct text {
    char chars[TEXT_MAX];
    size_t used;
};

static void append(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct text *text, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int length = format_args(text->chars + text->used, sizeof(text->chars) - text->used, fmt, args);
    va_end(args);
    if (length > 0) {
        size_t room = sizeof(text->chars) - text->used - 1;

        text->used += (size_t)length < room ? (size_t)length : room;
    }
}

/* How much of TEXT goes on a line of ROOM characters: up to a space where it must be broken. */
static size_t line_length(const char *text, size_t room)
{
    size_t length = strlen(text);

    if (length <= room) {
        return length;
    }
    length = room;
    while (length > 0 && text[length] != ' ') {
        length--;
    }
    return length > 0 ? length : room;
}

/* Log TEXT behind the HEAD, which is padded to INDENT columns; further lines are indented. */
static void print(const char *head, unsigned indent, const char *text)
{
    do {
        size_t length = line_length(text, COLUMNS - indent);

        log_info("%-*s%.*s", (int)indent, head, (int)length, text);
        text += length;
        text += *text == ' ';
        head = "";
    } while (*text != '\0');
}

#define HEAD_INDENT 11U
#define LACK_INDENT 36U

static void print_cpu(const struct platform_facts *facts)
{
    static const char *const locks[] = {
        [VIRTUALIZATION_OPEN] = "can be switched on",
        [VIRTUALIZATION_OFF] = "switched off and locked by firmware",
        [VIRTUALIZATION_UNKNOWN] = "its lock cannot be read; the VMM will try",
        [VIRTUALIZATION_ABSENT] = "not there",
    };
    struct text text = {.used = 0};
    struct text has = {.used = 0};

    append(&text, "%s, family %xh, model %xh, stepping %u, %u-bit physical addresses",
           facts->brand[0] != '\0' ? facts->brand : "without a name", facts->family, facts->model,
           facts->stepping, facts->physical_width);
    print("CPU", HEAD_INDENT, text.chars);
    for (uint32_t i = 0; i < FEATURE_COUNT; i++) {
        if (facts->features[i]) {
            append(&has, "%s%s", has.used > 0 ? ", " : "has ", features[i].name);
        }
    }
    if (has.used > 0) {
        print("", HEAD_INDENT, has.chars);
    }
    if (facts->vendor != CPU_VENDOR_OTHER) {
        text.used = 0;
        append(&text, "%s", locks[facts->virtualization]);
        if (facts->asids > 0) {
            append(&text, "; %u address space ids", facts->asids);
        }
        print(facts->vendor == CPU_VENDOR_AMD ? "SVM" : "VMX", HEAD_INDENT, text.chars);
    }
}

static void print_machine(const struct platform_facts *facts)
{
    struct text text = {.used = 0};

    append(&text, "%u found, %u started", facts->cpus_found, facts->cpus_started);
    if (facts->thread_bits > 0) {
        append(&text, ", %u threads a core", 1U << facts->thread_bits);
    }
    if (facts->acpi->madt.cpus_online_capable > 0) {
        append(&text, ", %u may be plugged in", facts->acpi->madt.cpus_online_capable);
    }
    print("CPUs", HEAD_INDENT, text.chars);
    text.used = 0;
    append(&text, "%lu MiB, usable %lu MiB, longest run for VMs %lu MiB", facts->memory.ram >> 20,
           facts->memory.free >> 20, facts->memory.largest >> 20);
    print("memory", HEAD_INDENT, text.chars);
}

/* Do two units differ in their place only? */
static bool iommu_alike(const struct pc_iommu *a, const struct pc_iommu *b)
{
    return a->kind == b->kind && a->answers == b->answers && a->address_width == b->address_width &&
           a->abilities == b->abilities;
}

static void append_abilities(struct text *text, uint32_t abilities, const char *joint)
{
    static const char *const names[IOMMU_ABILITIES] = {
        [IOMMU_REMAPS_INTERRUPTS] = "interrupt remapping",
        [IOMMU_X2APIC] = "x2APIC ids",
        [IOMMU_QUEUED_INVALIDATION] = "queued invalidation",
        [IOMMU_PAGES_2M] = "2M pages",
        [IOMMU_PAGES_1G] = "1G pages",
        [IOMMU_POSTED_INTERRUPTS] = "posted interrupts",
        [IOMMU_COHERENT] = "coherent walks",
    };

    for (unsigned i = 0; i < IOMMU_ABILITIES; i++) {
        if (abilities >> i & 1) {
            append(text, "%s%s", joint, names[i]);
            joint = ", ";
        }
    }
}

/* One line for UNITS units that differ only in their place. */
static void print_iommu(const struct pc_iommu *iommu, uint32_t units)
{
    struct text text = {.used = 0};

    append(&text, "%s, ", iommu->kind == IOMMU_VTD ? "VT-d" : "AMD-Vi");
    if (units > 1) {
        append(&text, "%u units from ", units);
    }
    append(&text, "%#lx, segment %u: ", iommu->base.raw, iommu->segment);
    if (!iommu->answers) {
        append(&text, "does not answer");
        print("IOMMU", HEAD_INDENT, text.chars);
        return;
    }
    append(&text, "%u-bit addresses", iommu->address_width);
    append_abilities(&text, iommu->abilities, ", ");
    append_abilities(&text, ~iommu->abilities, ", without ");
    print("IOMMU", HEAD_INDENT, text.chars);
}

static void print_iommus(const struct platform_facts *facts)
{
    uint32_t first = 0;

    if (facts->iommu_count == 0) {
        print("IOMMU", HEAD_INDENT, "none");
    }
    while (first < facts->iommu_count) {
        uint32_t next = first + 1;

        while (next < facts->iommu_count &&
               iommu_alike(&facts->iommus[first], &facts->iommus[next])) {
            next++;
        }
        print_iommu(&facts->iommus[first], next - first);
        first = next;
    }
    if (facts->acpi->dmar.x2apic_opt_out) {
        print("", HEAD_INDENT, "firmware asks not to use x2APIC");
    }
}

static void print_pci(const struct platform_facts *facts)
{
    const struct acpi_mcfg *mcfg = &facts->acpi->mcfg;
    struct text text = {.used = 0};

    for (uint32_t i = 0; i < mcfg->ecam_count && i < ECAM_LINES; i++) {
        append(&text, "%ssegment %u buses %02x-%02x at %#lx", i > 0 ? "; " : "",
               mcfg->ecams[i].segment, mcfg->ecams[i].bus_first, mcfg->ecams[i].bus_last,
               mcfg->ecams[i].base.raw);
    }
    if (mcfg->ecam_count > ECAM_LINES) {
        append(&text, "; and %u more", mcfg->ecam_count - ECAM_LINES);
    }
    print("ECAM", HEAD_INDENT, mcfg->ecam_count > 0 ? text.chars : "none");
    text.used = 0;
    append(&text, "%u function%s", facts->pci_count, facts->pci_count == 1 ? "" : "s");
    print("PCI", HEAD_INDENT, text.chars);
}

static void append_type(struct text *text, uint16_t type)
{
    const char *name = virtio_type_name(type);

    if (name != NULL) {
        append(text, "%s", name);
    } else {
        append(text, "type %u", type);
    }
}

static void append_mmr(struct text *text, const struct virtio_mmr *mmr)
{
    append(text, "MMR layout %c, BAR %u, %u bytes at %#x", mmr->layout == VIRTIO_MMR_A ? 'A' : 'B',
           mmr->region.bar, mmr->region.length, mmr->region.offset);
}

static void append_sriov(struct text *text, const struct virtio_function *function)
{
    const struct pci_sriov *sriov = &function->sriov;
    bool mmr =
        sriov->vf_device >= VIRTIO_MMR_DEVICE_FIRST && sriov->vf_device <= VIRTIO_MMR_DEVICE_LAST;

    append(text, "; up to %u VFs, id %04x (", sriov->total_vfs, sriov->vf_device);
    append_type(text, virtio_type_of(sriov->vf_device));
    append(text, "%s), first at +%u, then every %u; ", mmr ? " with MMR" : "", sriov->first_offset,
           sriov->stride);
    if (!sriov->enabled) {
        append(text, "off");
        return;
    }
    append(text, "%u on, MMR in %u", sriov->num_vfs, function->vfs_mmr);
    if (function->vfs_mmr > 0) {
        append(text, ": ");
        append_mmr(text, &function->vf_mmr);
    }
}

static void print_virtio(const struct virtio_function *function)
{
    struct text text = {.used = 0};

    append(&text, BDF_FORMAT " ", BDF_ARGS(function->pci->bdf));
    append_type(&text, function->type);
    append(&text, ", id %04x, revision %u%s%s", function->pci->device, function->pci->revision,
           function->modern && !function->complete ? ", registers missing" : "",
           function->pci->flr ? ", FLR" : "");
    if (function->pci->ari != 0) {
        append(&text, ", ARI");
    }
    if (function->mmr.layout != VIRTIO_MMR_NONE) {
        append(&text, ", ");
        append_mmr(&text, &function->mmr);
    }
    if (function->has_sriov) {
        append_sriov(&text, function);
    }
    print("virtio", HEAD_INDENT, text.chars);
}

static void print_virtios(const struct platform_facts *facts)
{
    bool off = false;

    if (facts->virtio_count == 0) {
        print("virtio", HEAD_INDENT, "none");
    }
    for (uint32_t i = 0; i < facts->virtio_count; i++) {
        if (i < VIRTIO_LINES) {
            print_virtio(&facts->virtio[i]);
        }
        off |= facts->virtio[i].has_sriov && !facts->virtio[i].sriov.enabled;
    }
    if (facts->virtio_count > VIRTIO_LINES) {
        log_info("%-*sand %u more functions", (int)HEAD_INDENT, "",
                 facts->virtio_count - VIRTIO_LINES);
    }
    if (off) {
        print("", HEAD_INDENT, "VFs are off; the VMM turns them on when a VM uses them");
    }
}

static void print_lacks(const struct platform_facts *facts)
{
    static const char *const words[LACK_NEEDS] = {
        [LACK_NEEDED] = "needed", [LACK_PASSTHROUGH] = "for VFs", [LACK_WANTED] = "wanted"};
    struct lack lack;
    uint32_t cursor = 0;

    while (lack_next(facts, &cursor, &lack)) {
        struct text head = {.used = 0};

        append(&head, "%-*s%s", (int)HEAD_INDENT, words[lack.need], lack.name);
        print(head.chars, LACK_INDENT, lack.remedy);
    }
}

enum report_verdict report_verdict(const struct platform_facts *facts)
{
    struct lack lack;
    uint32_t cursor = 0;

    /* The first lack is the gravest. */
    if (!lack_next(facts, &cursor, &lack) || lack.need == LACK_WANTED) {
        return REPORT_READY;
    }
    return lack.need == LACK_NEEDED ? REPORT_CANNOT_RUN : REPORT_NO_PASSTHROUGH;
}

static void print_verdict(const struct platform_facts *facts, enum report_verdict verdict)
{
    static const char *const words[] = {[REPORT_NO_PASSTHROUGH] = "can run VMs; no passthrough",
                                        [REPORT_CANNOT_RUN] = "cannot run VMs"};
    uint32_t usable = facts->pfs - facts->pfs_without_bars;
    struct lack lack;
    uint32_t cursor = 0;

    if (verdict == REPORT_READY) {
        log_info("verdict: this machine can run VMs and pass VFs of %u virtio device%s through",
                 usable, usable == 1 ? "" : "s");
    } else if (lack_next(facts, &cursor, &lack)) {
        log_info("verdict: this machine %s: %s (%s)", words[verdict], lack.name, lack.remedy);
    }
}

enum report_verdict report_print(const struct platform_facts *facts)
{
    enum report_verdict verdict = report_verdict(facts);

    print_cpu(facts);
    print_machine(facts);
    print_iommus(facts);
    print_pci(facts);
    print_virtios(facts);
    print_lacks(facts);
    print_verdict(facts, verdict);
    return verdict;
}
