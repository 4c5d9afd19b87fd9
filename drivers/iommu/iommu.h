/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's IOMMUs, VT-d or AMD-Vi, behind one interface: which memory a device reaches by DMA,
 * and which interrupts it may send. docs/iommu.md says how it is used and what it guarantees.
 *
 *   iommu_init(acpi, apic_is_x2apic(), physical_bits);    from here on nothing reaches memory
 *   iommu_domain_create("web", owner, &domain);
 *   iommu_map(domain, gpa(0), base, size, IOMMU_READ | IOMMU_WRITE);
 *   iommu_attach(domain, vf, pf);                         the VF reaches the VM's memory
 *   iommu_irq_allocate(vf, apic_id, vector, &irq, &message);
 *
 * All functions may be called on any CPU, not by interrupt handlers. What a domain maps is changed
 * under the domain's own lock, with interrupts as they are; for one step of the hardware, and for
 * all else, the IOMMU lock is taken, with interrupts off. A domain is used by nobody while it is
 * created or destroyed. Each wait for hardware has a limit of IOMMU_WAIT_US; a unit that misses it
 * is given up: it stays on and keeps blocking, but nothing is attached behind it any more.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_IOMMU_H
#define PORTOLAN_DRIVERS_IOMMU_IOMMU_H

#include "drivers/acpi/acpi.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/guest_ram.h"
#include "vmm/host/radix.h"

#define IOMMU_DOMAINS_MAX   32U  /* 16 VMs, the VMM itself, and what waits for a dead unit */
#define IOMMU_FUNCTIONS_MAX 320U /* attached at one time: 16 VFs of 16 VMs, and PFs */
#define IOMMU_IRQS_MAX      4096U
#define IOMMU_OWNERS        16U /* VMs; each has a domain ... */
#define IOMMU_IRQS_EACH     64U /* ... that gets so many interrupts whatever the others do */
#define IOMMU_REQUESTERS    64U /* requester ids whose faults are counted one by one */
#define IOMMU_WAIT_US       100000U

/* The owner of the VMM's own domain; VMs have their ids. */
#define IOMMU_OWNER_VMM 0xffffffffU

enum iommu_rights { IOMMU_READ = RADIX_READ, IOMMU_WRITE = RADIX_WRITE };

struct iommu_domain;

struct iommu_facts {
    bool ready;              /* devices can be assigned */
    const char *name;        /* "VT-d", "AMD-Vi", or "no IOMMU" */
    uint32_t unit_count;     /* units that are on */
    uint8_t iova_bits;       /* IOVAs are below 1 << iova_bits */
    uint8_t physical_bits;   /* and what they map to below 1 << physical_bits */
    uint64_t page_sizes;     /* a bit for each size that all units can map */
    bool interrupts;         /* interrupts are remapped: none but those allocated get through */
    bool x2apic;             /* and reach APIC ids above 254 */
    bool coherent;           /* the units snoop the CPU's caches for tables */
    bool marks;              /* the units mark the pages that are written: iommu_watch() */
    const char *unavailable; /* why not ready, for people; NULL when ready */
};

struct iommu_counters {
    uint32_t domains;
    uint32_t functions;    /* attached */
    uint32_t irqs;         /* allocated */
    uint64_t table_pages;  /* of page tables, all domains */
    uint64_t mapped_bytes; /* all domains */
    uint64_t lost_pages;   /* never reused: a unit did not confirm that it had let go of them */
    uint64_t faults;       /* DMA or interrupts that were blocked */
    uint64_t faults_lost;  /* times that a unit had no room to record faults */
};

/* What a unit blocked. */
struct iommu_fault {
    bdf_t bdf;          /* as the request said */
    uint64_t address;   /* IOVA; for 'interrupt' the index of the entry */
    const char *reason; /* static text */
    bool write;
    bool interrupt;
    bool owned;     /* BDF is attached, to a domain of OWNER */
    uint32_t owner; /* as given to iommu_domain_create() */
};

static inline const char *iommu_fault_kind(const struct iommu_fault *fault)
{
    return fault->interrupt ? "an interrupt" : fault->write ? "a write" : "a read";
}

/*
 * Find all units, block every device, and switch translation on; interrupt remapping as well when
 * all units have it. X2APIC: the CPUs' APICs are in x2APIC mode. PHYSICAL_BITS: the CPU's address
 * width. ACPI must stay valid, and PCI be scanned. UNSUPPORTED: there is no IOMMU, or firmware
 * describes it incompletely, or a unit lacks what is needed; DEVICE or TIMEOUT: a unit does not
 * work. Then nothing can be attached, and units that were switched on go on blocking. Boot CPU,
 * once.
 */
enum status iommu_init(const struct acpi_facts *acpi, bool x2apic, unsigned physical_bits);

/* What iommu_init() found; 'ready' false before. No lock. */
const struct iommu_facts *iommu_facts(void);

struct iommu_counters iommu_counters(void);

/*
 * A new domain that maps nothing, for OWNER (charged with the faults of its functions); NAME is
 * copied, for messages. STATE when the IOMMU is not ready; NO_MEMORY.
 */
enum status iommu_domain_create(const char *name, uint32_t owner, struct iommu_domain **domain);

/*
 * Give the tables back and end DOMAIN. STATE: functions are still attached. DEVICE: a unit has not
 * confirmed that it let go of it; then the domain's memory must never be used again.
 */
enum status iommu_domain_destroy(struct iommu_domain *domain);

/*
 * Let DOMAIN reach [BASE, BASE + SIZE) at IOVA with RIGHTS (not 0), in the largest pages that
 * alignment and units allow. All in whole pages of 4 KiB, SIZE > 0. RANGE: beyond what the units
 * can translate or the machine addresses; INVALID: rights, alignment, or the range touches the
 * message addresses or a unit's registers; CONFLICT: a part is mapped already; NO_MEMORY. On
 * failure nothing is mapped.
 */
enum status iommu_map(struct iommu_domain *domain, gpa_t iova, hpa_t base, uint64_t size,
                      unsigned rights);

/*
 * From here on iommu_take_written() tells pages of 4 KiB of RAM, which is what DOMAIN maps; what
 * was written before is in the RAM's marks. UNSUPPORTED: the units do not mark them. NO_MEMORY.
 */
enum status iommu_watch(struct iommu_domain *domain, const struct ram *ram);

/*
 * Add to RAM's marks what DOMAIN's functions have written since the last call: *PAGES. On failure
 * all may have been written.
 */
enum status iommu_take_written(struct iommu_domain *domain, const struct ram *ram, uint64_t *pages);

/*
 * Let the function BDF reach what DOMAIN maps, and nothing else. PF: the physical function of a VF;
 * for any other function BDF itself. CONFLICT: it is attached; UNSUPPORTED: no unit covers it, it
 * shares its requester id with others, or firmware reserves memory for it (RMRR, IVMD; for VFs and
 * for the VMM's own domain that counts for nothing, and the memory is not mapped). The function's
 * bus mastering should be off.
 */
enum status iommu_attach(struct iommu_domain *domain, bdf_t bdf, bdf_t pf);

/*
 * Block BDF again, and wait until no unit lets anything of it through. Its interrupts must be freed
 * before: STATE. NOT_FOUND: it is not attached. TIMEOUT or
 * DEVICE: a unit did not confirm; then the memory of its domain must never be used again.
 */
enum status iommu_detach(bdf_t bdf);

/* What to write into an MSI capability or MSI-X table entry. */
struct iommu_message {
    uint64_t address;
    uint32_t data;
    bool remapped; /* false: the unit does not check who sends it */
};

/*
 * An interrupt of the attached function BDF, delivered as VECTOR (>= 16, fixed, edge) to the CPU
 * with APIC_ID. With remapping only BDF can send it; without, *MESSAGE is the plain one.
 * NOT_FOUND: BDF is not attached; RANGE: vector, or APIC id above what the units reach; NO_MEMORY,
 * which says nothing in the log: no entry is left for BDF, or none for its domain that others are
 * not promised.
 */
enum status iommu_irq_allocate(bdf_t bdf, uint32_t apic_id, uint8_t vector, uint32_t *irq,
                               struct iommu_message *message);

/* Block IRQ; its message is not let through any more when this returns OK. NOT_FOUND. */
enum status iommu_irq_free(uint32_t irq);

/*
 * Take what the units recorded, count it, log what is no VM's, and hand each fault to
 * iommu_edge_fault(), which logs a VM's. Returns how many there were, at most a few hundred a
 * call. Takes the fault lock.
 */
uint32_t iommu_poll_faults(void);

#endif
