/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d in legacy mode as struct iommu_backend wants it. Intel VT-d specification 4.1; section 6.5
 * says which caches to invalidate when.
 */
#include "drivers/iommu/vtd.h"

#include "drivers/pci/scan.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"

static struct vtd_unit units[IOMMU_UNITS_MAX];
static uint32_t unit_count; /* those that were started */

_Static_assert(IOMMU_UNITS_MAX >= ACPI_DRHDS_MAX, "each DRHD has its unit, at the same index");

static const struct acpi_dmar *dmar;
static struct vtd_pair *irq_table; /* one for all units; NULL: not remapped */

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
static enum status limits_find(bool x2apic)
{
    uint64_t cap_all = ~0ULL, ecap_all = ~0ULL;
    unsigned width = 64;

    iommu_limits = (struct iommu_limits){
        .format = &page_format, .domain_ids = UINT32_MAX, .shared_irq_table = true};
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct vtd_unit *unit = &units[i];
        uint32_t ids = VTD_CAP_DOMAINS(unit->cap);

        cap_all &= unit->cap;
        ecap_all &= unit->ecap;
        width = VTD_CAP_MGAW(unit->cap) < width ? (unsigned)VTD_CAP_MGAW(unit->cap) : width;
        iommu_limits.domain_ids = ids < iommu_limits.domain_ids ? ids : iommu_limits.domain_ids;
    }
    if ((ecap_all & VTD_ECAP_QI) == 0) {
        iommu_state.unavailable = "a VT-d unit is too old: it has no queued invalidation";
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(depths) && iommu_limits.levels == 0; i++) {
        if ((VTD_CAP_SAGAW(cap_all) & depths[i].sagaw) != 0) {
            iommu_limits.levels = depths[i].levels;
            iommu_state.iova_bits = depths[i].bits < width ? depths[i].bits : (uint8_t)width;
        }
    }
    if (iommu_limits.levels == 0) {
        iommu_state.unavailable = "the VT-d units have no depth of page tables in common";
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    iommu_state.page_sizes = PAGE_SIZE | ((cap_all & VTD_CAP_2M) != 0 ? PAGE_SIZE_2M : 0) |
                             ((cap_all & VTD_CAP_1G) != 0 ? PAGE_SIZE_1G : 0);
    iommu_limits.extra_leaf = (ecap_all & VTD_ECAP_SC) != 0 ? VTD_SS_SNOOP : 0;
    iommu_state.coherent = (ecap_all & VTD_ECAP_COHERENT) != 0;
    iommu_state.interrupts = dmar->interrupt_remapping && (ecap_all & VTD_ECAP_IR) != 0;
    iommu_state.x2apic = iommu_state.interrupts && x2apic && (ecap_all & VTD_ECAP_EIM) != 0;
    return STATUS_OK;
}

static void warn_x2apic(bool x2apic)
{
    if (x2apic && dmar->x2apic_opt_out) {
        log_warn("IOMMU: firmware asks not to use x2APIC mode, but the CPUs are in it; interrupts "
                 "of devices may get lost: turn 'x2APIC opt-out' off in the firmware set-up");
    }
    if (x2apic && iommu_state.interrupts && !iommu_state.x2apic) {
        log_warn("IOMMU: interrupts of devices reach only CPUs with APIC ids up to 254: a VT-d "
                 "unit has no extended interrupt mode");
    }
}

static enum status irq_table_create(void)
{
    irq_table = NULL;
    if (!iommu_state.interrupts) {
        return STATUS_OK;
    }
    irq_table = pool_allocate(IOMMU_IRQS_MAX * sizeof(*irq_table), PAGE_SIZE);
    if (irq_table == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    if (!iommu_state.coherent) {
        shared_write_back(irq_table, IOMMU_IRQS_MAX * sizeof(*irq_table));
    }
    return STATUS_OK;
}

static enum status units_start(void)
{
    hpa_t irqs = irq_table != NULL ? pool_hpa(irq_table) : hpa(0);
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        hpa_t root;
        enum status status = vtd_tables_root(dmar->drhds[i].segment, &root);

        if (status == STATUS_OK) {
            status = vtd_unit_start(&units[i], root, irqs, iommu_state.x2apic);
        }
        /* The others are started all the same: what they block stays blocked. */
        iommu_state.unit_count += status == STATUS_OK;
        result = iommu_first(result, status);
    }
    unit_count = dmar->drhd_count;
    return result;
}

static enum status vtd_init(const struct acpi_facts *acpi, bool x2apic)
{
    dmar = &acpi->dmar;
    unit_count = 0;
    vtd_tables_reset();
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        enum status status = vtd_unit_open(&units[i], &dmar->drhds[i]);

        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = limits_find(x2apic);

    if (status != STATUS_OK) {
        return status;
    }
    warn_x2apic(x2apic);
    status = irq_table_create();
    return status == STATUS_OK ? units_start() : status;
}

/* ---- Firmware's lists of devices. Section 8.3.1 ---- */

/* The function that SCOPE's path leads to; false when a bridge on the way is not there. */
static bool scope_resolve(const struct acpi_scope *scope, uint16_t segment, bdf_t *bdf)
{
    *bdf = (bdf_t){.segment = segment, .bus = scope->bus, .devfn = scope->path[0]};
    for (uint32_t step = 1; step < scope->path_length; step++) {
        const struct pci_function *bridge = pci_find(*bdf);

        if (bridge == NULL || bridge->secondary == 0) {
            return false;
        }
        bdf->bus = bridge->secondary;
        bdf->devfn = scope->path[step];
    }
    return true;
}

static bool scope_covers(const struct acpi_scope *scope, uint16_t segment, bdf_t bdf)
{
    bdf_t device;

    /* IOAPICs, HPETs and ACPI devices have requester ids, but are no functions to assign. */
    if ((scope->type != ACPI_SCOPE_ENDPOINT && scope->type != ACPI_SCOPE_BRIDGE) ||
        !scope_resolve(scope, segment, &device)) {
        return false;
    }
    if (bdf_equal(device, bdf)) {
        return true;
    }
    if (scope->type == ACPI_SCOPE_ENDPOINT) {
        return false;
    }
    const struct pci_function *bridge = pci_find(device);

    return bridge != NULL && bridge->secondary != 0 && bdf.bus >= bridge->secondary &&
           bdf.bus <= bridge->subordinate;
}

/* Is BDF in SCOPES, itself or below a bridge that is? */
static bool scopes_cover(struct acpi_scopes scopes, uint16_t segment, bdf_t bdf)
{
    if (segment != bdf.segment) {
        return false;
    }
    for (uint32_t i = 0; i < scopes.count; i++) {
        if (scope_covers(&dmar->scopes[scopes.first + i], segment, bdf)) {
            return true;
        }
    }
    return false;
}

/* Which unit has BDF: one that lists it, or the one that has the rest; -1: none. */
static int unit_of(bdf_t bdf)
{
    int rest = -1;

    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct acpi_drhd *drhd = &dmar->drhds[i];

        if (drhd->include_all) {
            rest = drhd->segment == bdf.segment ? (int)i : rest;
        } else if (scopes_cover(drhd->scopes, drhd->segment, bdf)) {
            return (int)i;
        }
    }
    return rest;
}

/* Does firmware reserve memory for BDF? */
static bool reserved(bdf_t bdf)
{
    for (uint32_t i = 0; i < dmar->rmrr_count; i++) {
        if (scopes_cover(dmar->rmrrs[i].scopes, dmar->rmrrs[i].segment, bdf)) {
            return true;
        }
    }
    return false;
}

/* Is BDF below a bridge that puts its own requester id on what passes it? */
static bool behind_conventional(bdf_t bdf)
{
    const struct pci_function *bridge = pci_upstream(bdf.segment, bdf.bus);

    /* At most one bridge a bus. */
    for (unsigned depth = 0; bridge != NULL && depth < 256; depth++) {
        if (bridge->port == PCI_PORT_TO_PCI || bridge->port == PCI_PORT_CONVENTIONAL) {
            return true;
        }
        bridge = pci_upstream(bridge->bdf.segment, bridge->bdf.bus);
    }
    return false;
}

static enum status vtd_find(bdf_t bdf, bdf_t pf, struct iommu_place *place)
{
    /* A VF belongs to the unit of its PF. Section 8.3.1. */
    int unit = unit_of(pf);

    if (unit < 0 || units[unit].failed) {
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
    *place = (struct iommu_place){
        .unit = (uint8_t)unit, .alias = iommu_requester(bdf), .reserved_memory = reserved(bdf)};
    return STATUS_OK;
}

static bool vtd_has_registers(hpa_t base, uint64_t size)
{
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        if (ranges_overlap(base.raw, size, dmar->drhds[i].base.raw, units[i].size)) {
            return true;
        }
    }
    return false;
}

static enum status vtd_attach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct vtd_unit *unit = &units[function->unit];
    struct vtd_pair *entry = vtd_tables_context(function->bdf, true);
    struct vtd_pair value = vtd_context_entry(domain->table.root, domain->table.levels, domain->id);

    if (entry == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    shared_store(&entry->word[1], value.word[1]);
    vtd_tables_write_back(entry);
    shared_store(&entry->word[0], value.word[0]); /* present only when the rest is there */
    vtd_tables_write_back(entry);

    enum status status = vtd_unit_flush_writes(unit);

    /* In caching mode 'not present' may be cached, under domain 0. Section 6.1. */
    if (status == STATUS_OK && (unit->cap & VTD_CAP_CM) != 0) {
        const struct vtd_pair forget[] = {vtd_invalidate_context(iommu_requester(function->bdf), 0),
                                          vtd_invalidate_domain(domain->id)};

        status = vtd_unit_run(unit, forget, ARRAY_SIZE(forget));
    }
    return status;
}

static enum status vtd_detach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct vtd_unit *unit = &units[function->unit];
    struct vtd_pair *entry = vtd_tables_context(function->bdf, false);
    const struct vtd_pair forget[] = {
        vtd_invalidate_context(iommu_requester(function->bdf), domain->id),
        vtd_invalidate_domain(domain->id)};

    if (entry == NULL) {
        return STATUS_OK; /* its table was never made: it was never let in */
    }
    shared_store(&entry->word[0], 0);
    vtd_tables_write_back(entry);
    enum status status = vtd_unit_flush_writes(unit);

    if (status == STATUS_OK) {
        status = vtd_unit_run(unit, forget, ARRAY_SIZE(forget));
    }
    shared_store(&entry->word[1], 0);
    vtd_tables_write_back(entry);
    return status;
}

static enum status vtd_sync(const struct iommu_domain *domain, bool removed)
{
    const struct vtd_pair forget = vtd_invalidate_domain(domain->id);
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < unit_count; i++) {
        if ((domain->units >> i & 1U) == 0) {
            continue;
        }
        enum status status = vtd_unit_flush_writes(&units[i]);

        if (status == STATUS_OK && (removed || (units[i].cap & VTD_CAP_CM) != 0)) {
            status = vtd_unit_run(&units[i], &forget, 1);
        }
        result = iommu_first(result, status);
    }
    return result;
}

static enum status vtd_irq_write(struct iommu_function *function, const struct iommu_irq *irq,
                                 bool present)
{
    struct vtd_unit *unit = &units[function->unit];
    struct vtd_pair *entry = &irq_table[irq->entry];
    struct vtd_pair value = vtd_irq_entry(irq->apic_id, irq->vector, iommu_requester(function->bdf),
                                          iommu_state.x2apic);
    struct vtd_pair forget = vtd_invalidate_irq(irq->entry);

    /* All that changes while an entry is present lies in the first word: it changes in one piece.
     */
    if (present) {
        shared_store(&entry->word[1], value.word[1]);
        vtd_tables_write_back(entry);
    }
    shared_store(&entry->word[0], present ? value.word[0] : 0);
    vtd_tables_write_back(entry);
    enum status status = vtd_unit_flush_writes(unit);

    return status == STATUS_OK ? vtd_unit_run(unit, &forget, 1) : status;
}

static struct iommu_message vtd_irq_message(uint16_t entry)
{
    return (struct iommu_message){.address = vtd_irq_address(entry), .remapped = true};
}

static void vtd_poll(void)
{
    for (uint32_t i = 0; i < unit_count; i++) {
        vtd_unit_poll(&units[i]);
    }
}

const struct iommu_backend vtd_backend = {.name = "VT-d",
                                          .init = vtd_init,
                                          .find = vtd_find,
                                          .has_registers = vtd_has_registers,
                                          .attach = vtd_attach,
                                          .detach = vtd_detach,
                                          .sync = vtd_sync,
                                          .irq_write = vtd_irq_write,
                                          .irq_message = vtd_irq_message,
                                          .poll = vtd_poll};
