/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/iommu_backend.h"
#include "vmm/base/log.h"
#include "vmm/host/irq.h"
#include "vmm/host/spinlock.h"

#include <string.h>

struct counted {
    bdf_t bdf;
    uint64_t count; /* 0: free */
};

static struct spinlock lock =
    SPINLOCK(LOCK_FAULTS); /* taken before the IOMMU lock, never after it */
static struct counted counted[IOMMU_REQUESTERS];
static uint64_t others; /* faults of requesters that have no place in the table */
static uint64_t total;
static uint64_t lost;
static uint32_t polled; /* in the poll that is under way */

void iommu_fault_reset(void)
{
    memset(counted, 0, sizeof(counted));
    others = total = lost = 0;
}

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
    fill_owner(fault);
    uint64_t *counter = counter_of(fault->bdf);

    (*counter)++;
    total++;
    polled++;
    if (is_told(*counter)) {
        log_warn("IOMMU: blocked %s of " BDF_FORMAT " %s %#llx: %s (%llu such so far)",
                 fault->interrupt ? "an interrupt"
                 : fault->write   ? "a write"
                                  : "a read",
                 BDF_ARGS(fault->bdf), fault->interrupt ? "through entry" : "at",
                 (unsigned long long)fault->address, fault->reason, (unsigned long long)*counter);
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

    spinlock_acquire(&lock);
    polled = 0;
    if (iommu_backend != NULL) {
        iommu_backend->poll();
    }
    found = polled;
    spinlock_release(&lock);
    irq_restore(flags);
    return found;
}

void iommu_fault_count_all(struct iommu_counters *counters)
{
    uint64_t flags = irq_save();

    spinlock_acquire(&lock);
    counters->faults = total;
    counters->faults_lost = lost;
    spinlock_release(&lock);
    irq_restore(flags);
}
