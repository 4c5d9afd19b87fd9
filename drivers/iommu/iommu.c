/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/iommu.h"

#include "drivers/iommu/iommu_backend.h"
#include "drivers/iommu/iommu_edge.h"
#include "vmm/base/log.h"
#include "vmm/host/irq.h"
#include "vmm/host/spinlock.h"
#include "vmm/host/time.h"

#include <string.h>

static struct spinlock lock = SPINLOCK(LOCK_IOMMU);

struct iommu_facts iommu_state = {.name = "no IOMMU", .unavailable = "not looked for yet"};
struct iommu_limits iommu_limits;
const struct iommu_backend *iommu_backend;

uint64_t iommu_lock(void)
{
    uint64_t flags = irq_save();

    spinlock_acquire(&lock);
    return flags;
}

void iommu_unlock(uint64_t flags)
{
    spinlock_release(&lock);
    irq_restore(flags);
}

enum status iommu_wait32(const void *registers, uint32_t offset, uint32_t mask, uint32_t value)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if ((iommu_hw_read32(registers, offset) & mask) == value) {
            return STATUS_OK;
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

enum status iommu_wait64(const void *registers, uint32_t offset, uint64_t mask, uint64_t value)
{
    for (unsigned us = 0; us < IOMMU_WAIT_US; us++) {
        if ((iommu_hw_read64(registers, offset) & mask) == value) {
            return STATUS_OK;
        }
        time_delay_us(1);
    }
    return STATUS_NOTE(STATUS_TIMEOUT);
}

/* ---- Faults ---- */

struct counted {
    bdf_t bdf;
    uint64_t count; /* 0: free */
};

static struct spinlock fault_lock =
    SPINLOCK(LOCK_FAULTS); /* taken before the IOMMU lock, never after it */
static struct counted counted[IOMMU_REQUESTERS];
static uint64_t others; /* faults of requesters that have no place in the table */
static uint64_t total;
static uint64_t lost;
static uint32_t polled; /* in the poll that is under way */

/* The counter of BDF's faults; that of all others when the table is full. */
static uint64_t *counter_of(bdf_t bdf)
{
    for (uint32_t i = 0; i < IOMMU_REQUESTERS; i++) {
        if (counted[i].count == 0) {
            counted[i].bdf = bdf;
        }
        if (bdf_equal(counted[i].bdf, bdf)) {
            return &counted[i].count;
        }
    }
    return &others;
}

/* Is the COUNTth of its kind worth a line? The first few, then ever fewer: 1, 2, 4, 8, 16... */
static bool is_told(uint64_t count)
{
    return (count & (count - 1)) == 0;
}

/* The attached function behind FAULT, by its own requester id or its alias. */
static void fill_owner(struct iommu_fault *fault)
{
    uint64_t flags = iommu_lock();
    const struct iommu_function *function = iommu_requester_find(fault->bdf);

    fault->owned = function != NULL;
    if (function != NULL) {
        fault->bdf = function->bdf;
        fault->owner = function->domain->owner;
    }
    iommu_unlock(flags);
}

void iommu_fault_report(struct iommu_fault *fault)
{
    uint64_t count = 0;

    fill_owner(fault);
    total++;
    polled++;
    /* A VM can have as many as it likes: iommu_edge_fault() tells them within its limit. */
    if (!fault->owned || fault->owner == IOMMU_OWNER_VMM) {
        count = ++*counter_of(fault->bdf);
    }
    if (count > 0 && is_told(count)) {
        log_warn("IOMMU: blocked %s of " BDF_FORMAT " %s %#llx: %s (%llu such so far)",
                 iommu_fault_kind(fault), BDF_ARGS(fault->bdf),
                 fault->interrupt ? "through entry" : "at", (unsigned long long)fault->address,
                 fault->reason, (unsigned long long)count);
    }
    iommu_edge_fault(fault);
}

void iommu_fault_lost(const char *unit)
{
    lost++;
    if (is_told(lost)) {
        log_warn("IOMMU: %s blocked more than it could record (%llu times so far)", unit,
                 (unsigned long long)lost);
    }
}

uint32_t iommu_poll_faults(void)
{
    uint64_t flags = irq_save();
    uint32_t found;

    spinlock_acquire(&fault_lock);
    polled = 0;
    if (iommu_backend != NULL) {
        iommu_backend->poll();
    }
    found = polled;
    spinlock_release(&fault_lock);
    irq_restore(flags);
    return found;
}

/* ---- Start-up, and what is known ---- */

/* Which kind of unit firmware describes; NULL, with the reason: none that can be used. */
static const struct iommu_backend *choose_backend(const struct acpi_facts *acpi,
                                                  const char **unavailable)
{
    const struct acpi_dmar *dmar = &acpi->dmar;
    const struct acpi_ivrs *ivrs = &acpi->ivrs;
    bool vtd = dmar->present && dmar->drhd_count > 0;
    bool amdvi = ivrs->present && ivrs->ivhd_count > 0;

    if (vtd && amdvi) {
        *unavailable = "firmware has both a DMAR and an IVRS table";
        return NULL;
    }
    if (!vtd && !amdvi) {
        *unavailable = "firmware describes no IOMMU: enable VT-d or AMD-Vi in its set-up";
        return NULL;
    }
    if (vtd ? !dmar->complete : !ivrs->complete) {
        *unavailable = vtd ? "firmware's DMAR table is faulty (see above): update the firmware"
                           : "firmware's IVRS table is faulty (see above): update the firmware";
        return NULL;
    }
    return vtd ? &vtd_backend : &amdvi_backend;
}

enum status iommu_init(const struct acpi_facts *acpi, bool x2apic, unsigned physical_bits)
{
    enum status status = STATUS_UNSUPPORTED;

    iommu_state =
        (struct iommu_facts){.name = "no IOMMU", .unavailable = "a unit does not work (see above)"};
    iommu_limits = (struct iommu_limits){0};
    iommu_domain_reset();
    iommu_irq_reset();
    memset(counted, 0, sizeof(counted));
    others = total = lost = 0;
    iommu_backend = choose_backend(acpi, &iommu_state.unavailable);
    if (iommu_backend != NULL) {
        iommu_state.name = iommu_backend->name;
        iommu_state.physical_bits = (uint8_t)(physical_bits < 52 ? physical_bits : 52);
        status = iommu_backend->init(acpi, x2apic);
    }
    if (status != STATUS_OK) {
        log_warn("IOMMU: no device can be assigned to a VM: %s", iommu_state.unavailable);
        return STATUS_NOTE(status);
    }
    iommu_state.ready = true;
    iommu_state.unavailable = NULL;
    log_info("IOMMU: %u units of %s on, %u-bit addresses, %s; every device is blocked",
             iommu_state.unit_count, iommu_state.name, iommu_state.iova_bits,
             !iommu_state.interrupts ? "interrupts not remapped"
             : iommu_state.x2apic    ? "interrupts remapped, x2APIC ids"
                                     : "interrupts remapped");
    if (!iommu_state.interrupts) {
        log_warn("IOMMU: without interrupt remapping a device can send any interrupt to any CPU; "
                 "enable it in the firmware set-up");
    }
    return STATUS_OK;
}

const struct iommu_facts *iommu_facts(void)
{
    return &iommu_state;
}

struct iommu_counters iommu_counters(void)
{
    struct iommu_counters counters = {0};
    uint64_t flags = iommu_lock();

    iommu_domain_count(&counters);
    iommu_irq_count(&counters);
    iommu_unlock(flags);
    flags = irq_save();
    spinlock_acquire(&fault_lock);
    counters.faults = total;
    counters.faults_lost = lost;
    spinlock_release(&fault_lock);
    irq_restore(flags);
    return counters;
}
