/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VT-d unit: what it can do, its queue, the order in which it is switched on, its faults. Intel
 * VT-d specification 4.1, sections 6.5.2, 7.1, 7.2 and 11.4.
 */
#include "drivers/iommu/vtd.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#define ALL_ONES           (~0ULL)
#define IRQ_TABLE_SIZE_LOG 11U /* IRTA.S: 2^(S + 1) entries */

_Static_assert(1U << (IRQ_TABLE_SIZE_LOG + 1) == IOMMU_IRQS_MAX, "the table holds every interrupt");

#define QUEUE_ENTRIES (PAGE_SIZE / sizeof(struct vtd_pair)) /* IQA.QS = 0 */
#define QUEUE_SHIFT   4U                                    /* from an index to IQH and IQT */

_Static_assert(QUEUE_ENTRIES == 256, "VT-d 4.1, 11.4.21: QS 0 is one page of 128-bit descriptors");

/* Bytes of registers that the unit uses: fault records may lie beyond what the table says. */
static uint64_t registers_size(uint64_t cap, uint64_t described)
{
    uint32_t end = VTD_CAP_FAULTS_AT(cap) + VTD_CAP_FAULTS(cap) * VTD_FAULT_SIZE;

    return align_up(end > described ? end : described, PAGE_SIZE);
}

static enum status unit_map(struct vtd_unit *unit, uint64_t size)
{
    unit->size = size;
    unit->registers = map_physical(unit->drhd->base, size, MAP_DEVICE);
    return unit->registers != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

static enum status queue_create(struct vtd_unit *unit)
{
    unit->queue = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    unit->status = pool_allocate(PAGE_SIZE, PAGE_SIZE);
    if (unit->queue == NULL || unit->status == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    shared_write_back(unit->status, sizeof(*unit->status));
    return STATUS_OK;
}

enum status vtd_unit_open(struct vtd_unit *unit, const struct acpi_drhd *drhd)
{
    *unit = (struct vtd_unit){.drhd = drhd};
    (void)format(unit->name, sizeof(unit->name), "VT-d at %#llx",
                 (unsigned long long)drhd->base.raw);
    enum status status = unit_map(unit, PAGE_SIZE);

    if (status != STATUS_OK) {
        return status;
    }
    unit->cap = iommu_hw_read64(unit->registers, VTD_CAP);
    unit->ecap = iommu_hw_read64(unit->registers, VTD_ECAP);
    if (unit->cap == ALL_ONES || unit->ecap == ALL_ONES) {
        log_warn("IOMMU: %s does not answer, though firmware's DMAR table names it", unit->name);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    uint64_t size = registers_size(unit->cap, drhd->size);

    if (size > PAGE_SIZE) {
        map_release(unit->registers, PAGE_SIZE);
        status = unit_map(unit, size);
    }
    return status == STATUS_OK ? queue_create(unit) : status;
}

/* Set (or clear) the states SET (CLEAR), or give a command in SET, and wait until it is done. */
static enum status unit_command(struct vtd_unit *unit, uint32_t set, uint32_t clear)
{
    uint32_t state = iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_STATE;
    enum status status;

    iommu_hw_write32(unit->registers, VTD_GCMD, (state & ~clear) | set);
    /* WBF is told by its bit's going away, all others by the bit's having the value asked for. */
    status = iommu_wait32(unit->registers, VTD_GSTS, set | clear, set & ~VTD_G_WBF);
    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out command %#x within %u ms (status %#x); it cannot be "
                 "used",
                 unit->name, set | clear, IOMMU_WAIT_US / 1000,
                 iommu_hw_read32(unit->registers, VTD_GSTS));
    }
    return status;
}

enum status vtd_unit_flush_writes(struct vtd_unit *unit)
{
    if ((unit->cap & VTD_CAP_RWBF) == 0) {
        return STATUS_OK;
    }
    return unit->failed ? STATUS_NOTE(STATUS_DEVICE) : unit_command(unit, VTD_G_WBF, 0);
}

/* Stop the queue that firmware left, and start ours. Section 6.5.2. */
static enum status queue_start(struct vtd_unit *unit)
{
    enum status status = STATUS_OK;

    if ((iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_QIE) != 0) {
        /* Firmware's: it may only be stopped when it is empty. */
        for (unsigned us = 0; us < IOMMU_WAIT_US && iommu_hw_read64(unit->registers, VTD_IQH) !=
                                                        iommu_hw_read64(unit->registers, VTD_IQT);
             us++) {
            time_delay_us(1);
        }
        status = unit_command(unit, 0, VTD_G_QIE);
    }
    if (status != STATUS_OK) {
        return status;
    }
    unit->tail = 0;
    iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_CLEAR);
    iommu_hw_write64(unit->registers, VTD_IQT, 0);
    iommu_hw_write64(unit->registers, VTD_IQA, pool_hpa(unit->queue).raw);
    return unit_command(unit, VTD_G_QIE, 0);
}

static void queue_put(struct vtd_unit *unit, struct vtd_pair descriptor)
{
    struct vtd_pair *entry = &unit->queue[unit->tail];

    shared_store(&entry->word[0], descriptor.word[0]);
    shared_store(&entry->word[1], descriptor.word[1]);
    if ((unit->ecap & VTD_ECAP_COHERENT) == 0) {
        shared_write_back(entry, sizeof(*entry));
    }
    unit->tail = (unit->tail + 1) % QUEUE_ENTRIES;
}

/* Has the unit written the value that the last wait descriptor asked for? */
static enum status queue_wait(struct vtd_unit *unit)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if ((uint32_t)shared_load(unit->status) == unit->sequence) {
            return STATUS_OK;
        }
        if ((iommu_hw_read32(unit->registers, VTD_FSTS) & VTD_FSTS_QUEUE_FAULT) != 0) {
            return STATUS_NOTE(STATUS_DEVICE);
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

enum status vtd_unit_run(struct vtd_unit *unit, const struct vtd_pair *descriptors, unsigned count)
{
    if (unit->failed) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    for (unsigned i = 0; i < count; i++) {
        queue_put(unit, descriptors[i]);
    }
    unit->sequence++;
    queue_put(unit, vtd_wait(pool_hpa(unit->status), unit->sequence));
    iommu_hw_write64(unit->registers, VTD_IQT, (uint64_t)unit->tail << QUEUE_SHIFT);

    enum status status = queue_wait(unit);

    if (status != STATUS_OK) {
        unit->failed = true;
        log_warn("IOMMU: %s did not carry out an invalidation (%s): fault status %#x, queue at "
                 "%#llx of %#llx; nothing is assigned behind it any more",
                 unit->name, status_name(status), iommu_hw_read32(unit->registers, VTD_FSTS),
                 (unsigned long long)iommu_hw_read64(unit->registers, VTD_IQH),
                 (unsigned long long)iommu_hw_read64(unit->registers, VTD_IQT));
    }
    return status;
}

/* No interrupt of its own: faults are polled. What was recorded before us is dropped. */
static void faults_reset(struct vtd_unit *unit)
{
    uint32_t at = VTD_CAP_FAULTS_AT(unit->cap);

    iommu_hw_write32(unit->registers, VTD_FECTL, VTD_FECTL_MASKED);
    for (uint32_t i = 0; i < VTD_CAP_FAULTS(unit->cap); i++) {
        iommu_hw_write32(unit->registers, at + i * VTD_FAULT_SIZE + 12,
                         (uint32_t)(VTD_FAULT_PENDING >> 32));
    }
    iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_CLEAR);
}

/* Point the unit at our root table. Everything behind it is blocked as soon as translation is on.
 */
static enum status root_set(struct vtd_unit *unit, hpa_t root_table)
{
    const struct vtd_pair forget[] = {vtd_invalidate_contexts(), vtd_invalidate_all()};
    enum status status = STATUS_OK;

    /* Firmware may have translation on (DMA protection). In legacy mode it can stay on. */
    if ((iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_TE) != 0 &&
        (iommu_hw_read64(unit->registers, VTD_RTADDR) & VTD_RTADDR_MODE) != 0) {
        status = unit_command(unit, 0, VTD_G_TE);
    }
    if (status == STATUS_OK) {
        iommu_hw_write64(unit->registers, VTD_RTADDR, root_table.raw);
        status = unit_command(unit, VTD_G_RTP, 0);
    }
    if (status == STATUS_OK) {
        status = vtd_unit_flush_writes(unit);
    }
    return status == STATUS_OK ? vtd_unit_run(unit, forget, ARRAY_SIZE(forget)) : status;
}

/* Section 5.1: interrupts go through IRQ_TABLE, and only they: the compatibility format is blocked.
 */
static enum status interrupts_set(struct vtd_unit *unit, hpa_t irq_table, bool x2apic)
{
    const struct vtd_pair forget = vtd_invalidate_irqs();
    enum status status;

    iommu_hw_write64(unit->registers, VTD_IRTA,
                     irq_table.raw | (x2apic ? VTD_IRTA_X2APIC : 0) | IRQ_TABLE_SIZE_LOG);
    status = unit_command(unit, VTD_G_IRTP, 0);
    if (status == STATUS_OK) {
        status = vtd_unit_run(unit, &forget, 1);
    }
    /* One change at a time: section 11.4.4. */
    if (status == STATUS_OK && (iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_CFI) != 0) {
        status = unit_command(unit, 0, VTD_G_CFI);
    }
    if (status == STATUS_OK) {
        status = unit_command(unit, VTD_G_IRE, 0);
    }
    return status;
}

/* Firmware's protected ranges would block our own devices too. Section 11.4.16. */
static enum status protected_ranges_off(struct vtd_unit *unit)
{
    if ((unit->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)) == 0 ||
        (iommu_hw_read32(unit->registers, VTD_PMEN) & VTD_PMEN_ENABLE) == 0) {
        return STATUS_OK;
    }
    iommu_hw_write32(unit->registers, VTD_PMEN, 0);
    return iommu_wait32(unit->registers, VTD_PMEN, VTD_PMEN_STATUS, 0);
}

enum status vtd_unit_start(struct vtd_unit *unit, hpa_t root_table, hpa_t irq_table, bool x2apic)
{
    enum status status = queue_start(unit);

    faults_reset(unit);
    if (status == STATUS_OK) {
        status = root_set(unit, root_table);
    }
    if (status == STATUS_OK) {
        status = unit_command(unit, VTD_G_TE, 0);
    }
    if (status == STATUS_OK && irq_table.raw != 0) {
        status = interrupts_set(unit, irq_table, x2apic);
    } else if (status == STATUS_OK &&
               (iommu_hw_read32(unit->registers, VTD_GSTS) & VTD_G_IRE) != 0) {
        status = unit_command(unit, 0, VTD_G_IRE); /* firmware's: its table is not ours */
    }
    return status == STATUS_OK ? protected_ranges_off(unit) : status;
}

static const char *const texts[] = {
    [0x01] = "the device is not assigned (no context table for its bus)",
    [0x02] = "the device is not assigned (no context entry)",
    [0x03] = "the context entry is invalid",
    [0x04] = "the address is beyond what the unit translates",
    [0x05] = "nothing is mapped there for writing",
    [0x06] = "nothing is mapped there for reading",
    [0x07] = "a page table could not be read",
    [0x08] = "the root table could not be read",
    [0x09] = "the context table could not be read",
    [0x0a] = "reserved bits are set in a root entry",
    [0x0b] = "reserved bits are set in a context entry",
    [0x0c] = "reserved bits are set in a page table",
    [0x0d] = "the device used translations of its own, which are off",
    [0x0e] = "the address is an interrupt's, but the request is none",
    [0x20] = "reserved bits are set in an interrupt request",
    [0x21] = "the interrupt's entry is beyond the table",
    [0x22] = "the interrupt is not allocated",
    [0x23] = "the interrupt table could not be read",
    [0x24] = "reserved bits are set in an interrupt entry",
    [0x25] = "the interrupt is not in the remappable format",
    [0x26] = "the interrupt belongs to another device",
};

const char *vtd_fault_text(unsigned reason)
{
    return reason < ARRAY_SIZE(texts) && texts[reason] != NULL ? texts[reason] : "unknown reason";
}

static void record_report(const struct vtd_unit *unit, uint64_t low, uint64_t high)
{
    unsigned reason = VTD_FAULT_REASON(high);
    bool interrupt = reason >= VTD_FAULT_IR_FIRST && reason <= VTD_FAULT_IR_LAST;
    struct iommu_fault fault = {
        .bdf = iommu_requester_bdf(unit->drhd->segment, VTD_FAULT_SOURCE(high)),
        .address = interrupt ? VTD_FAULT_IRQ(low) : VTD_FAULT_ADDRESS(low),
        .reason = vtd_fault_text(reason),
        .write = (high & VTD_FAULT_IS_READ) == 0,
        .interrupt = interrupt};

    iommu_fault_report(&fault);
}

void vtd_unit_poll(struct vtd_unit *unit)
{
    uint32_t status = iommu_hw_read32(unit->registers, VTD_FSTS);

    if ((status & (VTD_FSTS_OVERFLOW | VTD_FSTS_PENDING)) == 0) {
        return;
    }
    /* A record that is filled while we look is seen now or at the next poll. */
    for (uint32_t i = 0; i < VTD_CAP_FAULTS(unit->cap); i++) {
        uint32_t at = VTD_CAP_FAULTS_AT(unit->cap) + i * VTD_FAULT_SIZE;
        uint64_t high = iommu_hw_read64(unit->registers, at + 8);

        if ((high & VTD_FAULT_PENDING) == 0) {
            continue;
        }
        uint64_t low = iommu_hw_read64(unit->registers, at);

        iommu_hw_write32(unit->registers, at + 12, (uint32_t)(VTD_FAULT_PENDING >> 32));
        record_report(unit, low, high);
    }
    if ((status & VTD_FSTS_OVERFLOW) != 0) {
        iommu_hw_write32(unit->registers, VTD_FSTS, VTD_FSTS_OVERFLOW);
        iommu_fault_lost(unit->name);
    }
}
