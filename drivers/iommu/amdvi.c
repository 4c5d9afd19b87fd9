/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-Vi as struct iommu_backend wants it. AMD I/O Virtualization Technology Specification 3.08;
 * section 2.4 says which caches to invalidate when.
 */
#include "drivers/iommu/amdvi.h"

#include "vmm/base/log.h"
#include "vmm/host/pool.h"

#define LEVELS       4U
#define DOMAIN_IDS   65536U
#define IDS_PER_UNIT 2U /* a function's own requester id, and its alias */

static struct amdvi_unit units[IOMMU_UNITS_MAX];
static uint32_t unit_count; /* those that were started */

_Static_assert(IOMMU_UNITS_MAX >= ACPI_IVHDS_MAX, "each IVHD has its unit, at the same index");
_Static_assert(IOMMU_TABLE_IRQS_MAX == 256, "AMDVI_D_IRQ_LENGTH_8 says so");

static const struct acpi_ivrs *ivrs;

/* Section 2.2.3: a 'next level' of 0 is a page of the size that its place says. */
static const struct radix_format page_format = {
    .present = AMDVI_P_PRESENT,
    .table = AMDVI_P_PRESENT | AMDVI_P_READ | AMDVI_P_WRITE,
    .leaf = AMDVI_P_PRESENT | AMDVI_P_COHERENT,
    .read = AMDVI_P_READ,
    .write = AMDVI_P_WRITE,
    .written = AMDVI_P_WRITTEN,
    .next_shift = 9,
};

static void limits_find(bool x2apic)
{
    uint64_t features = ~0ULL;

    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        features &= units[i].features;
    }
    iommu_limits =
        (struct iommu_limits){.format = &page_format, .levels = LEVELS, .domain_ids = DOMAIN_IDS};
    iommu_state.iova_bits =
        ivrs->virtual_width != 0 && ivrs->virtual_width < 48 ? ivrs->virtual_width : 48;
    iommu_state.page_sizes = PAGE_SIZE | PAGE_SIZE_2M | PAGE_SIZE_1G;
    iommu_state.coherent = true;
    iommu_state.interrupts = true;
    iommu_state.marks = (features & AMDVI_F_MARKS) == AMDVI_F_MARKS;
    iommu_state.x2apic =
        x2apic && (features & AMDVI_F_X2APIC) != 0 && (features & AMDVI_F_WIDE_IRQS) != 0;
    if (x2apic && !iommu_state.x2apic) {
        log_warn("IOMMU: interrupts of devices reach only CPUs with APIC ids up to 254: an AMD-Vi "
                 "unit has no x2APIC support");
    }
}

static enum status amdvi_init(const struct acpi_facts *acpi, bool x2apic)
{
    enum status result = STATUS_OK;

    ivrs = &acpi->ivrs;
    unit_count = 0;
    amdvi_tables_reset();
    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        enum status status = amdvi_unit_open(&units[i], &ivrs->ivhds[i]);

        if (status != STATUS_OK) {
            return status;
        }
    }
    limits_find(x2apic);
    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        hpa_t devices;
        uint64_t size;
        enum status status = amdvi_tables_make(ivrs, ivrs->ivhds[i].bdf.segment, &devices, &size);

        if (status == STATUS_OK) {
            status = amdvi_unit_start(&units[i], devices, size, iommu_state.x2apic);
        }
        /* The others are started all the same: what they block stays blocked. */
        iommu_state.unit_count += status == STATUS_OK;
        result = iommu_first(result, status);
    }
    unit_count = ivrs->ivhd_count;
    return result;
}

/* The entry that covers ID; NULL: none. The last one counts, as it is the most special. */
static const struct acpi_ivhd_device *device_find(uint16_t segment, uint16_t id)
{
    const struct acpi_ivhd_device *found = NULL;

    for (uint32_t i = 0; i < ivrs->device_count; i++) {
        const struct acpi_ivhd_device *device = &ivrs->devices[i];

        if (device->segment == segment && device->special == ACPI_IVHD_NOT_SPECIAL &&
            id >= device->first && id <= device->last) {
            found = device;
        }
    }
    return found;
}

/* Do ids other than ID show up as ALIAS? */
static bool alias_shared(uint16_t segment, uint16_t id, uint16_t alias)
{
    for (uint32_t i = 0; i < ivrs->device_count; i++) {
        const struct acpi_ivhd_device *device = &ivrs->devices[i];

        if (device->segment == segment && device->has_alias && device->alias == alias &&
            (device->first != id || device->last != id)) {
            return true;
        }
    }
    return false;
}

static bool reserved(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < ivrs->ivmd_count; i++) {
        const struct acpi_ivmd *ivmd = &ivrs->ivmds[i];

        if (ivmd->segment == segment && id >= ivmd->first && id <= ivmd->last) {
            return true;
        }
    }
    return false;
}

/* Why ID cannot be assigned, NULL: it can; fills in *PLACE. */
static const char *place_fault(uint16_t segment, uint16_t id, struct iommu_place *place)
{
    const struct acpi_ivhd_device *device = device_find(segment, id);

    if (device == NULL) {
        return "firmware's IVRS table names no unit for it";
    }
    if (units[device->unit].failed) {
        return "its unit does not work";
    }
    *place = (struct iommu_place){.unit = device->unit,
                                  .alias = device->has_alias ? device->alias : id,
                                  .reserved_memory = reserved(segment, id)};
    if (alias_shared(segment, id, place->alias) || alias_shared(segment, id, id)) {
        return "other devices send requests under the same id; move it to a slot of its own";
    }
    return NULL;
}

static enum status amdvi_find(bdf_t bdf, bdf_t pf, struct iommu_place *place)
{
    const char *fault = place_fault(bdf.segment, iommu_requester(bdf), place);

    if (fault != NULL) {
        log_warn("IOMMU: " BDF_FORMAT " cannot be assigned: %s", BDF_ARGS(bdf), fault);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    return STATUS_OK;
}

static bool amdvi_has_registers(hpa_t base, uint64_t size)
{
    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        if (ranges_overlap(base.raw, size, ivrs->ivhds[i].base.raw, AMDVI_REGISTERS_SIZE)) {
            return true;
        }
    }
    return false;
}

/* The requester ids of FUNCTION; returns how many. */
static unsigned ids_of(const struct iommu_function *function, uint16_t ids[IDS_PER_UNIT])
{
    ids[0] = iommu_requester(function->bdf);
    ids[1] = function->alias;
    return ids[0] == ids[1] ? 1 : IDS_PER_UNIT;
}

static enum status amdvi_attach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct amdvi_unit *unit = &units[function->unit];
    struct amdvi_entry forget[IDS_PER_UNIT + 1];
    uint16_t ids[IDS_PER_UNIT];
    unsigned count = ids_of(function, ids), commands = 0;

    for (unsigned i = 0; i < count; i++) {
        amdvi_tables_open(amdvi_tables_device(function->bdf.segment, ids[i]), domain->table.root,
                          domain->table.levels, domain->id);
        forget[commands++] = amdvi_invalidate_device(ids[i]);
    }
    forget[commands++] = amdvi_invalidate_domain(domain->id);
    return amdvi_unit_run(unit, forget, commands);
}

static enum status amdvi_detach(struct iommu_function *function, const struct iommu_domain *domain)
{
    struct amdvi_unit *unit = &units[function->unit];
    struct amdvi_entry forget[2 * IDS_PER_UNIT + 1];
    uint16_t ids[IDS_PER_UNIT];
    unsigned count = ids_of(function, ids), commands = 0;

    for (unsigned i = 0; i < count; i++) {
        amdvi_tables_block(ivrs, function->bdf.segment, ids[i]);
        forget[commands++] = amdvi_invalidate_device(ids[i]);
        forget[commands++] = amdvi_invalidate_irqs(ids[i]);
    }
    forget[commands++] = amdvi_invalidate_domain(domain->id);
    enum status status = amdvi_unit_run(unit, forget, commands);

    if (function->irq_table != NULL && status == STATUS_OK) {
        pool_free(function->irq_table, PAGE_SIZE);
    } else if (function->irq_table != NULL) {
        iommu_lost_pages_add(1);
    }
    function->irq_table = NULL;
    return status;
}

static enum status amdvi_sync(const struct iommu_domain *domain, bool removed)
{
    const struct amdvi_entry forget = amdvi_invalidate_domain(domain->id);
    enum status result = STATUS_OK;

    for (uint32_t i = 0; i < unit_count; i++) {
        if ((domain->units >> i & 1U) != 0 && (removed || units[i].caches_absent)) {
            result = iommu_first(result, amdvi_unit_run(&units[i], &forget, 1));
        }
    }
    return result;
}

/* Give FUNCTION an interrupt table, in which every entry is blocked. */
static enum status irq_table_make(struct iommu_function *function)
{
    struct amdvi_entry forget[IDS_PER_UNIT];
    uint16_t ids[IDS_PER_UNIT];
    unsigned count = ids_of(function, ids);
    uint64_t *table = pool_allocate(PAGE_SIZE, PAGE_SIZE);

    if (table == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    function->irq_table = table;
    for (unsigned i = 0; i < count; i++) {
        struct amdvi_device *device = amdvi_tables_device(function->bdf.segment, ids[i]);

        shared_store(&device->word[2], amdvi_device_irqs(pool_hpa(table)));
        forget[i] = amdvi_invalidate_device(ids[i]);
    }
    return amdvi_unit_run(&units[function->unit], forget, count);
}

static void irq_entry_set(uint64_t *table, const struct iommu_irq *irq, bool present)
{
    if (iommu_state.x2apic) {
        struct amdvi_entry value = {
            {0, 0}
        };

        if (present) {
            value = amdvi_irq_entry_wide(irq->apic_id, irq->vector);
        }
        /* Vector and destination are in both words: they change in one piece, or an interrupt in
         * between would go astray. */
        iommu_hw_store_pair(&table[2UL * irq->entry], value.word);
        return;
    }
    /* Two entries a word; only we write. */
    unsigned shift = irq->entry % 2U * 32;
    uint64_t *word = &table[irq->entry / 2U];
    uint64_t value = present ? amdvi_irq_entry(irq->apic_id, irq->vector) : 0;

    shared_store(word, (shared_load(word) & ~(0xffffffffULL << shift)) | value << shift);
}

static enum status amdvi_irq_write(struct iommu_function *function, const struct iommu_irq *irq,
                                   bool present)
{
    struct amdvi_entry forget[IDS_PER_UNIT];
    uint16_t ids[IDS_PER_UNIT];
    unsigned count = ids_of(function, ids);
    enum status status = function->irq_table != NULL ? STATUS_OK : irq_table_make(function);

    if (status != STATUS_OK) {
        return status;
    }
    irq_entry_set(function->irq_table, irq, present);
    for (unsigned i = 0; i < count; i++) {
        forget[i] = amdvi_invalidate_irqs(ids[i]);
    }
    return amdvi_unit_run(&units[function->unit], forget, count);
}

/* Section 2.2.5.1: bits 10:0 of the data choose the entry of the sender's own table. */
static struct iommu_message amdvi_irq_message(uint16_t entry)
{
    return (struct iommu_message){.address = MSI_BASE, .data = entry, .remapped = true};
}

static void amdvi_poll(void)
{
    for (uint32_t i = 0; i < unit_count; i++) {
        amdvi_unit_poll(&units[i]);
    }
}

const struct iommu_backend amdvi_backend = {.name = "AMD-Vi",
                                            .init = amdvi_init,
                                            .find = amdvi_find,
                                            .has_registers = amdvi_has_registers,
                                            .attach = amdvi_attach,
                                            .detach = amdvi_detach,
                                            .sync = amdvi_sync,
                                            .irq_write = amdvi_irq_write,
                                            .irq_message = amdvi_irq_message,
                                            .poll = amdvi_poll};
