/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d in legacy mode as struct iommu_backend wants it. Intel VT-d specification 4.1; section 6.5
 * says which caches to invalidate when.
 */
#include "drivers/iommu/vtd.h"

#include "drivers/iommu/hardware.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"

struct vtd_unit vtd_units[IOMMU_UNITS_MAX];
uint32_t vtd_unit_count; /* those that were started */

_Static_assert(IOMMU_UNITS_MAX >= ACPI_DRHDS_MAX, "each DRHD has its unit, at the same index");

static const struct acpi_dmar *dmar;
static struct vtd_pair *irq_table; /* one for all units; NULL: not remapped */
static bool coherent;
static bool irq_x2apic;

/* Section 9.8. */
static const struct radix_format page_format = {
    .present = VTD_SS_READ | VTD_SS_WRITE,
    .table = VTD_SS_READ | VTD_SS_WRITE,
    .read = VTD_SS_READ,
    .write = VTD_SS_WRITE,
    .large = VTD_SS_LARGE,
};

/* Depths of tables, the preferred first, and their bits in CAP.SAGAW. Section 11.4.2. */
static const struct {
    uint8_t levels;
    uint8_t bits;
    uint8_t sagaw;
} depths[] = {
    {4, 48, 1U << 2},
    {5, 57, 1U << 3},
    {3, 39, 1U << 1}
};

/* Find what all units can do. */
static enum status limits_find(struct iommu_limits *limits, bool x2apic)
{
    uint64_t cap_all = ~0ULL, ecap_all = ~0ULL;
    unsigned width = 64;

    limits->domain_ids = UINT32_MAX;
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct vtd_unit *unit = &vtd_units[i];
        uint32_t ids = VTD_CAP_DOMAINS(unit->cap);

        cap_all &= unit->cap;
        ecap_all &= unit->ecap;
        width = VTD_CAP_MGAW(unit->cap) < width ? (unsigned)VTD_CAP_MGAW(unit->cap) : width;
        limits->domain_ids = ids < limits->domain_ids ? ids : limits->domain_ids;
    }
    if ((ecap_all & VTD_ECAP_QI) == 0) {
        limits->unavailable = "a VT-d unit is too old: it has no queued invalidation";
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(depths) && limits->levels == 0; i++) {
        if ((VTD_CAP_SAGAW(cap_all) & depths[i].sagaw) != 0) {
            limits->levels = depths[i].levels;
            limits->iova_bits = depths[i].bits < width ? depths[i].bits : (uint8_t)width;
        }
    }
    if (limits->levels == 0) {
        limits->unavailable = "the VT-d units have no depth of page tables in common";
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    limits->format = &page_format;
    limits->page_sizes = PAGE_SIZE | ((cap_all & VTD_CAP_2M) != 0 ? PAGE_SIZE_2M : 0) |
                         ((cap_all & VTD_CAP_1G) != 0 ? PAGE_SIZE_1G : 0);
    limits->extra_leaf = (ecap_all & VTD_ECAP_SC) != 0 ? VTD_SS_SNOOP : 0;
    limits->coherent = (ecap_all & VTD_ECAP_COHERENT) != 0;
    limits->interrupts = dmar->interrupt_remapping && (ecap_all & VTD_ECAP_IR) != 0;
    limits->x2apic = limits->interrupts && x2apic && (ecap_all & VTD_ECAP_EIM) != 0;
    limits->shared_irq_table = true;
    return STATUS_OK;
}

static void warn_x2apic(const struct iommu_limits *limits, bool x2apic)
{
    if (x2apic && dmar->x2apic_opt_out) {
        log_warn("IOMMU: firmware asks not to use x2APIC mode, but the CPUs are in it; interrupts "
                 "of devices may get lost: turn 'x2APIC opt-out' off in the firmware set-up");
    }
    if (x2apic && limits->interrupts && !limits->x2apic) {
        log_warn("IOMMU: interrupts of devices reach only CPUs with APIC ids up to 254: a VT-d "
                 "unit has no extended interrupt mode");
    }
}

static enum status irq_table_create(const struct iommu_limits *limits)
{
    irq_table = NULL;
    if (!limits->interrupts) {
        return STATUS_OK;
    }
    irq_table = pool_allocate(IOMMU_IRQS_MAX * sizeof(*irq_table), PAGE_SIZE);
    if (irq_table == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    if (!limits->coherent) {
        shared_write_back(irq_table, IOMMU_IRQS_MAX * sizeof(*irq_table));
    }
    return STATUS_OK;
}

static enum status units_start(struct iommu_limits *limits)
{
    hpa_t irqs = irq_table != NULL ? pool_hpa(irq_table) : hpa(0);
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        hpa_t root;
        enum status status = vtd_tables_root(dmar->drhds[i].segment, coherent, &root);

        if (status == STATUS_OK) {
            status = vtd_unit_start(&vtd_units[i], root, irqs, limits->x2apic);
        }
        /* The others are started all the same: what they block stays blocked. */
        limits->unit_count += status == STATUS_OK;
        result = status == STATUS_OK ? result : status;
    }
    vtd_unit_count = dmar->drhd_count;
    return result;
}

static enum status vtd_init(const struct acpi_facts *acpi, bool x2apic, struct iommu_limits *limits)
{
    dmar = &acpi->dmar;
    vtd_unit_count = 0;
    vtd_tables_reset();
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        enum status status = vtd_unit_open(&vtd_units[i], &dmar->drhds[i]);

        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = limits_find(limits, x2apic);

    if (status != STATUS_OK) {
        return status;
    }
    warn_x2apic(limits, x2apic);
    coherent = limits->coherent;
    irq_x2apic = limits->x2apic;
    status = irq_table_create(limits);
    return status == STATUS_OK ? units_start(limits) : status;
}

/* Is BDF below a bridge that puts its own requester id on what passes it? */
static bool behind_conventional(bdf_t bdf)
{
    const struct pci_function *bridge = pci_parent(bdf);

    /* At most one bridge a bus. */
    for (unsigned depth = 0; bridge != NULL && depth < 256; depth++) {
        if (bridge->port == PCI_PORT_TO_PCI || bridge->port == PCI_PORT_CONVENTIONAL) {
            return true;
        }
        bridge = pci_parent(bridge->bdf);
    }
    return false;
}

static enum status vtd_find(bdf_t bdf, bdf_t pf, struct iommu_place *place)
{
    /* A VF belongs to the unit of its PF. Section 8.3.1. */
    int unit = vtd_scope_unit(dmar, pf);

    if (unit < 0 || vtd_units[unit].failed) {
        log_warn("IOMMU: " BDF_FORMAT " cannot be assigned: %s", BDF_ARGS(bdf),
                 unit < 0 ? "firmware's DMAR table names no unit for it"
                          : "its unit does not work");
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (behind_conventional(pf)) {
        log_warn("IOMMU: " BDF_FORMAT " cannot be assigned: it shares the requester id of a "
                 "conventional PCI bridge; move it to a PCI Express slot",
                 BDF_ARGS(bdf));
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    *place = (struct iommu_place){.unit = (uint8_t)unit,
                                  .alias = iommu_requester(bdf),
                                  .reserved_memory = vtd_scope_reserved(dmar, bdf)};
    return STATUS_OK;
}

static bool vtd_has_registers(hpa_t base, uint64_t size)
{
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        if (ranges_overlap(base.raw, size, dmar->drhds[i].base.raw, vtd_units[i].size)) {
            return true;
        }
    }
    return false;
}

static enum status vtd_attach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct vtd_unit *unit = &vtd_units[function->unit];
    struct vtd_pair *entry = vtd_tables_context(function->bdf, true, coherent);
    struct vtd_pair value = vtd_context_entry(domain->table.root, domain->table.levels, domain->id);

    if (entry == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    shared_store(&entry->word[1], value.word[1]);
    vtd_tables_write_back(entry, coherent);
    shared_store(&entry->word[0], value.word[0]); /* present only when the rest is there */
    vtd_tables_write_back(entry, coherent);

    enum status status = vtd_unit_flush_writes(unit);

    /* In caching mode 'not present' may be cached, under domain 0. Section 6.1. */
    if (status == STATUS_OK && (unit->cap & VTD_CAP_CM) != 0) {
        const struct vtd_pair forget[] = {vtd_invalidate_context(iommu_requester(function->bdf), 0),
                                          vtd_invalidate_domain(domain->id)};

        status = vtd_queue_run(unit, forget, ARRAY_SIZE(forget));
    }
    return status;
}

static enum status vtd_detach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct vtd_unit *unit = &vtd_units[function->unit];
    struct vtd_pair *entry = vtd_tables_context(function->bdf, false, coherent);
    const struct vtd_pair forget[] = {
        vtd_invalidate_context(iommu_requester(function->bdf), domain->id),
        vtd_invalidate_domain(domain->id)};

    if (entry == NULL) {
        return STATUS_OK; /* its table was never made: it was never let in */
    }
    shared_store(&entry->word[0], 0);
    vtd_tables_write_back(entry, coherent);
    enum status status = vtd_unit_flush_writes(unit);

    if (status == STATUS_OK) {
        status = vtd_queue_run(unit, forget, ARRAY_SIZE(forget));
    }
    shared_store(&entry->word[1], 0);
    vtd_tables_write_back(entry, coherent);
    return status;
}

/* The descriptor for a range: its pages when that is one step, else the whole domain. */
static struct vtd_pair range_descriptor(const struct vtd_unit *unit,
                                        const struct iommu_domain *domain, uint64_t iova,
                                        uint64_t size)
{
    unsigned mask = 0;

    if (size == 0 || (unit->cap & VTD_CAP_PSI) == 0) {
        return vtd_invalidate_domain(domain->id);
    }
    /* The smallest aligned block of 2^mask pages that holds the range. */
    while (mask <= VTD_CAP_MASK_MAX(unit->cap) &&
           align_down(iova, PAGE_SIZE << mask) != align_down(iova + size - 1, PAGE_SIZE << mask)) {
        mask++;
    }
    return mask <= VTD_CAP_MASK_MAX(unit->cap)
               ? vtd_invalidate_pages(domain->id, align_down(iova, PAGE_SIZE << mask), mask)
               : vtd_invalidate_domain(domain->id);
}

static enum status vtd_invalidate(const struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < vtd_unit_count; i++) {
        if ((domain->units >> i & 1U) == 0) {
            continue;
        }
        struct vtd_pair forget = range_descriptor(&vtd_units[i], domain, iova, size);
        enum status status = vtd_unit_flush_writes(&vtd_units[i]);

        if (status == STATUS_OK) {
            status = vtd_queue_run(&vtd_units[i], &forget, 1);
        }
        result = status == STATUS_OK ? result : status; /* the others are told all the same */
    }
    return result;
}

static enum status vtd_mapped(const struct iommu_domain *domain)
{
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < vtd_unit_count; i++) {
        struct vtd_unit *unit = &vtd_units[i];

        if ((domain->units >> i & 1U) == 0) {
            continue;
        }
        enum status status = vtd_unit_flush_writes(unit);

        if (status == STATUS_OK && (unit->cap & VTD_CAP_CM) != 0) {
            struct vtd_pair forget = vtd_invalidate_domain(domain->id);

            status = vtd_queue_run(unit, &forget, 1);
        }
        result = status == STATUS_OK ? result : status;
    }
    return result;
}

static enum status vtd_irq_write(struct iommu_function *function, const struct iommu_irq *irq,
                                 bool present)
{
    struct vtd_unit *unit = &vtd_units[function->unit];
    struct vtd_pair *entry = &irq_table[irq->entry];
    struct vtd_pair value =
        vtd_irq_entry(irq->apic_id, irq->vector, iommu_requester(function->bdf), irq_x2apic);
    struct vtd_pair forget = vtd_invalidate_irq(irq->entry);

    /* All that changes while an entry is present lies in the first word: it changes in one piece.
     */
    if (present) {
        shared_store(&entry->word[1], value.word[1]);
        vtd_tables_write_back(entry, coherent);
    }
    shared_store(&entry->word[0], present ? value.word[0] : 0);
    vtd_tables_write_back(entry, coherent);
    enum status status = vtd_unit_flush_writes(unit);

    return status == STATUS_OK ? vtd_queue_run(unit, &forget, 1) : status;
}

static struct iommu_message vtd_irq_message(uint16_t entry)
{
    return (struct iommu_message){.address = vtd_irq_address(entry), .remapped = true};
}

const struct iommu_backend vtd_backend = {.name = "VT-d",
                                          .init = vtd_init,
                                          .find = vtd_find,
                                          .has_registers = vtd_has_registers,
                                          .attach = vtd_attach,
                                          .detach = vtd_detach,
                                          .mapped = vtd_mapped,
                                          .invalidate = vtd_invalidate,
                                          .irq_write = vtd_irq_write,
                                          .irq_message = vtd_irq_message,
                                          .poll = vtd_fault_poll};
