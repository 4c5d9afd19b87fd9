/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/iommu_backend.h"

#include <string.h>

#define VECTOR_MIN   16U /* Intel SDM 3, section 11.5.2: lower ones are illegal */
#define PLAIN_ID_MAX 254U

static struct iommu_irq irqs[IOMMU_IRQS_MAX];
static uint32_t irq_count;
static uint32_t hint; /* where to look for a free one first */

void iommu_irq_reset(void)
{
    memset(irqs, 0, sizeof(irqs));
    irq_count = hint = 0;
}

void iommu_irq_count(struct iommu_counters *counters)
{
    counters->irqs = irq_count;
}

/* Intel SDM 3, section 11.11: physical destination, fixed delivery, edge. */
static struct iommu_message plain_message(uint32_t apic_id, uint8_t vector)
{
    return (struct iommu_message){.address = MSI_ADDRESS(apic_id), .data = vector};
}

static enum status target_check(uint32_t apic_id, uint8_t vector)
{
    bool wide = iommu_state.interrupts && iommu_state.x2apic;

    if (vector < VECTOR_MIN || (!wide && apic_id > PLAIN_ID_MAX) || apic_id == UINT32_MAX) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    return STATUS_OK;
}

static bool is_free(uint32_t slot)
{
    return irqs[slot].used_by == 0;
}

/* Is SLOT < IOMMU_IRQS_MAX an interrupt that a caller holds? */
static bool is_held(uint32_t slot)
{
    return irqs[slot].used_by != 0 && !irqs[slot].lost;
}

static struct iommu_function *function_of(uint32_t slot)
{
    return iommu_function_at(irqs[slot].used_by - 1U);
}

static uint32_t slot_find(void)
{
    for (uint32_t i = 0; i < IOMMU_IRQS_MAX; i++) {
        uint32_t slot = (hint + i) % IOMMU_IRQS_MAX;

        if (is_free(slot)) {
            return slot;
        }
    }
    return IOMMU_IRQS_MAX;
}

/* One VM's guest cannot use up what another's VFs need to work at all. */
static bool may_have_more(const struct iommu_domain *domain)
{
    return domain->irqs < IOMMU_IRQS_EACH || IOMMU_IRQS_MAX - irq_count > iommu_irqs_promised();
}

/*
 * An entry of FUNCTION's own table that is not in use, nor lost; IOMMU_TABLE_IRQS_MAX: none. What
 * an earlier function of that place has lost is left out as well.
 */
static uint32_t entry_find(const struct iommu_function *function)
{
    uint64_t taken[IOMMU_TABLE_IRQS_MAX / 64] = {0};

    for (uint32_t slot = 0; slot < IOMMU_IRQS_MAX; slot++) {
        if (!is_free(slot) && function_of(slot) == function) {
            taken[irqs[slot].entry / 64U] |= 1ULL << irqs[slot].entry % 64U;
        }
    }
    for (uint32_t entry = 0; entry < IOMMU_TABLE_IRQS_MAX; entry++) {
        if ((taken[entry / 64] >> entry % 64 & 1U) == 0) {
            return entry;
        }
    }
    return IOMMU_TABLE_IRQS_MAX;
}

static struct iommu_message message_of(const struct iommu_irq *irq)
{
    return iommu_state.interrupts ? iommu_backend->irq_message(irq->entry)
                                  : plain_message(irq->apic_id, irq->vector);
}

static enum status irq_allocate(bdf_t bdf, uint32_t apic_id, uint8_t vector, uint32_t *result)
{
    struct iommu_function *function = iommu_function_find(bdf);
    uint32_t slot = slot_find();

    if (function == NULL) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    enum status status = target_check(apic_id, vector);

    if (status != STATUS_OK) {
        return status;
    }
    bool own_table = iommu_state.interrupts && !iommu_limits.shared_irq_table;
    uint32_t entry = own_table ? entry_find(function) : slot;

    if (slot == IOMMU_IRQS_MAX || (own_table && entry == IOMMU_TABLE_IRQS_MAX) ||
        !may_have_more(function->domain)) {
        return STATUS_NO_MEMORY; /* not noted: a guest may cause it as often as it likes */
    }
    struct iommu_irq irq = {.used_by = (uint16_t)(function - iommu_function_at(0) + 1),
                            .entry = (uint16_t)entry,
                            .apic_id = apic_id,
                            .vector = vector};

    if (iommu_state.interrupts) {
        status = iommu_backend->irq_write(function, &irq, true);
        if (status != STATUS_OK) {
            return status;
        }
    }
    irqs[slot] = irq;
    hint = slot + 1;
    irq_count++;
    function->irqs++;
    function->domain->irqs++;
    *result = slot;
    return STATUS_OK;
}

enum status iommu_irq_allocate(bdf_t bdf, uint32_t apic_id, uint8_t vector, uint32_t *irq,
                               struct iommu_message *message)
{
    uint64_t flags = iommu_lock();
    enum status status = irq_allocate(bdf, apic_id, vector, irq);

    if (status == STATUS_OK) {
        *message = message_of(&irqs[*irq]);
    }
    iommu_unlock(flags);
    return status;
}

static enum status irq_free(uint32_t slot)
{
    if (slot >= IOMMU_IRQS_MAX || !is_held(slot)) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    struct iommu_function *function = function_of(slot);
    enum status status =
        iommu_state.interrupts ? iommu_backend->irq_write(function, &irqs[slot], false) : STATUS_OK;

    function->irqs--;
    if (status != STATUS_OK) {
        /* Its entry is never used again: a unit may have it cached. It stays the domain's, or a
         * slot that is not free would be promised to it anew. */
        irqs[slot].lost = true;
        return status;
    }
    function->domain->irqs--;
    irqs[slot] = (struct iommu_irq){0};
    irq_count--;
    return STATUS_OK;
}

enum status iommu_irq_free(uint32_t irq)
{
    uint64_t flags = iommu_lock();
    enum status status = irq_free(irq);

    iommu_unlock(flags);
    return status;
}
