/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the common part (iommu.c, domain.c, remapping.c) and the two kinds of unit (vtd*.c,
 * amdvi*.c) want of each other. Private to this folder.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_IOMMU_BACKEND_H
#define PORTOLAN_DRIVERS_IOMMU_IOMMU_BACKEND_H

#include "drivers/iommu/iommu.h"
#include "vmm/base/msi.h"
#include "vmm/host/radix.h"
#include "vmm/host/shared.h"
#include "vmm/host/spinlock.h"

#define IOMMU_UNITS_MAX      64U /* a bit each in a domain's 'units' */
#define IOMMU_DOMAIN_NAME    16U
#define IOMMU_TABLE_IRQS_MAX 256U /* of one function, where each has its own table */

struct iommu_domain {
    bool used;
    bool broken; /* a unit did not confirm an invalidation: what it maps is never reused */
    uint16_t id; /* 1.. : 0 is reserved where units cache what is not present */
    uint32_t owner;
    uint32_t functions;
    uint32_t irqs;        /* of its functions, and what they have lost */
    uint64_t units;       /* those that may have something of it cached */
    struct spinlock lock; /* what it maps; taken before the IOMMU lock, interrupts as they are */
    uint64_t mapped_bytes;
    struct radix table;
    char name[IOMMU_DOMAIN_NAME];
};

/* An attached function. */
struct iommu_function {
    bdf_t bdf;
    struct iommu_domain *domain; /* NULL: free slot */
    uint32_t irqs;
    uint16_t alias; /* the requester id that it shows up as; its own without an alias */
    uint8_t unit;
    uint64_t *irq_table; /* AMD-Vi's table of its own, NULL: none yet */
};

struct iommu_irq {
    uint16_t used_by; /* index of a function + 1; 0: free slot */
    uint16_t entry;   /* in the table that the unit reads */
    uint32_t apic_id;
    uint8_t vector;
    bool lost; /* freed, but a unit did not confirm: never used again */
};

/* What all units together can do, besides struct iommu_facts. */
struct iommu_limits {
    const struct radix_format *format;
    uint64_t extra_leaf;
    uint32_t domain_ids; /* ids 1..domain_ids - 1 may be used */
    uint8_t levels;
    bool shared_irq_table; /* one table for all functions, else one a function */
};

/* Why a function cannot be attached, or where it is. */
struct iommu_place {
    uint8_t unit;
    uint16_t alias;
    bool reserved_memory; /* firmware wants memory mapped for it */
};

/* All are called under the IOMMU lock, init and poll excepted. */
struct iommu_backend {
    const char *name;

    /*
     * Find the units, block all, switch on. Fills in iommu_limits and of iommu_state what the units
     * can do, zero before, and 'unavailable' where it can say better what failed.
     */
    enum status (*init)(const struct acpi_facts *acpi, bool x2apic);

    /* Which unit has BDF (PF for a VF). UNSUPPORTED, with a message: none, or not alone. */
    enum status (*find)(bdf_t bdf, bdf_t pf, struct iommu_place *place);

    /* Does a unit have registers in [BASE, BASE + SIZE)? */
    bool (*has_registers)(hpa_t base, uint64_t size);

    /* Direct FUNCTION's requests to DOMAIN's table; or to nowhere, and wait for that. */
    enum status (*attach)(struct iommu_function *function, const struct iommu_domain *domain);
    enum status (*detach)(struct iommu_function *function, const struct iommu_domain *domain);

    /*
     * DOMAIN's tables have changed: wait until its units see entries that are new and, if others
     * were REMOVED, have none of those cached.
     */
    enum status (*sync)(const struct iommu_domain *domain, bool removed);

    /* Write the entry of IRQ (PRESENT, or blocked) for FUNCTION, and wait until it counts. */
    enum status (*irq_write)(struct iommu_function *function, const struct iommu_irq *irq,
                             bool present);

    /* The message that leads to ENTRY. */
    struct iommu_message (*irq_message)(uint16_t entry);

    /* Take what was recorded, and call iommu_fault_report() for each. */
    void (*poll)(void);
};

extern const struct iommu_backend vtd_backend;
extern const struct iommu_backend amdvi_backend;

/* iommu.c */
extern struct iommu_facts iommu_state;
extern struct iommu_limits iommu_limits;
extern const struct iommu_backend *iommu_backend; /* never NULL while iommu_state.ready */

/* Returns what iommu_unlock() wants. */
uint64_t iommu_lock(void);
void iommu_unlock(uint64_t flags);

/* Back to the state before iommu_init(). */
void iommu_domain_reset(void);
void iommu_irq_reset(void);

/* domain.c: under the lock. */
struct iommu_function *iommu_function_find(bdf_t bdf);
struct iommu_function *iommu_function_at(uint32_t index);

/* The attached function that sends requests as REQUESTER, itself or by its alias; NULL: none. */
struct iommu_function *iommu_requester_find(bdf_t requester);

void iommu_domain_count(struct iommu_counters *counters);

/* How many interrupts must stay free for what domains are promised, those to come among them. */
uint32_t iommu_irqs_promised(void);
void iommu_lost_pages_add(uint64_t pages);

/* remapping.c: under the lock. */
void iommu_irq_count(struct iommu_counters *counters);

/* Called by backends while they poll. 'owned' and 'owner' of FAULT are filled in here. */
void iommu_fault_report(struct iommu_fault *fault);

/* A unit had no room: it blocked requests that it did not record. */
void iommu_fault_lost(const char *unit);

/*
 * hardware.c: all that touches an IOMMU, with vmm/host/shared.h: its registers. Tests on the host
 * put a simulated unit here.
 */
uint32_t iommu_hw_read32(const void *registers, uint32_t offset);
uint64_t iommu_hw_read64(const void *registers, uint32_t offset);
void iommu_hw_write32(void *registers, uint32_t offset, uint32_t value);
void iommu_hw_write64(void *registers, uint32_t offset, uint64_t value);

/* Store VALUE to the 16-byte aligned ENTRY in one piece: a unit sees the old or the new. */
void iommu_hw_store_pair(uint64_t entry[2], const uint64_t value[2]);

/* Wait for at most IOMMU_WAIT_US until (register at OFFSET & MASK) == VALUE; TIMEOUT. */
enum status iommu_wait32(const void *registers, uint32_t offset, uint32_t mask, uint32_t value);
enum status iommu_wait64(const void *registers, uint32_t offset, uint64_t mask, uint64_t value);

/* The first of RESULT and STATUS that is no success: where one fails, the others go on. */
static inline enum status iommu_first(enum status result, enum status status)
{
    return result != STATUS_OK ? result : status;
}

static inline uint16_t iommu_requester(bdf_t bdf)
{
    return (uint16_t)((uint16_t)bdf.bus << 8 | bdf.devfn);
}

static inline bdf_t iommu_requester_bdf(uint16_t segment, uint16_t id)
{
    return (bdf_t){.segment = segment, .bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id};
}

#endif
