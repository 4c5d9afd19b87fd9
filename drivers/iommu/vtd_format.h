/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d's registers, tables and descriptors in legacy mode, as hardware reads them.
 * Intel VT-d specification 4.1: chapters 9 (tables) and 11 (registers), sections 5.1 (interrupts)
 * and 6.5.2 (queued invalidation). Pure; for this folder, the report and the tests.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_VTD_FORMAT_H
#define PORTOLAN_DRIVERS_IOMMU_VTD_FORMAT_H

#include "vmm/base/msi.h"
#include "vmm/base/types.h"

/* Section 11.4; all widths as the specification gives them. */
enum vtd_register {
    VTD_CAP = 0x08,
    VTD_ECAP = 0x10,
    VTD_GCMD = 0x18,
    VTD_GSTS = 0x1c,
    VTD_RTADDR = 0x20,
    VTD_FSTS = 0x34,
    VTD_FECTL = 0x38,
    VTD_PMEN = 0x64,
    VTD_IQH = 0x80,
    VTD_IQT = 0x88,
    VTD_IQA = 0x90,
    VTD_IRTA = 0xb8
};

#define VTD_CAP_DOMAINS(cap)   (1U << (4 + 2 * ((cap)&7U)))
#define VTD_CAP_RWBF           (1ULL << 4) /* writes to tables need a write-buffer flush */
#define VTD_CAP_PLMR           (1ULL << 5) /* protected memory ranges */
#define VTD_CAP_PHMR           (1ULL << 6)
#define VTD_CAP_CM             (1ULL << 7) /* caches also what is not present */
#define VTD_CAP_SAGAW(cap)     ((cap) >> 8 & 0x1fU)
#define VTD_CAP_MGAW(cap)      (((cap) >> 16 & 0x3fU) + 1)
#define VTD_CAP_FAULTS_AT(cap) ((uint32_t)((cap) >> 24 & 0x3ffU) * 16)
#define VTD_CAP_2M             (1ULL << 34)
#define VTD_CAP_1G             (1ULL << 35)
#define VTD_CAP_FAULTS(cap)    ((uint32_t)((cap) >> 40 & 0xffU) + 1)
#define VTD_CAP_POSTED         (1ULL << 59) /* posted interrupts */
#define VTD_ECAP_COHERENT      (1ULL << 0)
#define VTD_ECAP_QI            (1ULL << 1)
#define VTD_ECAP_IR            (1ULL << 3)
#define VTD_ECAP_EIM           (1ULL << 4)
#define VTD_ECAP_SC            (1ULL << 7) /* tables can force snooping */

/* GCMD sets, GSTS tells; same bits. Section 11.4.4. */
#define VTD_G_TE   (1U << 31)
#define VTD_G_RTP  (1U << 30)
#define VTD_G_AFL  (1U << 28)
#define VTD_G_WBF  (1U << 27)
#define VTD_G_QIE  (1U << 26)
#define VTD_G_IRE  (1U << 25)
#define VTD_G_IRTP (1U << 24)
#define VTD_G_CFI  (1U << 23)
/* Those that are states; the others are commands, and read as told when done. */
#define VTD_G_STATE (VTD_G_TE | VTD_G_AFL | VTD_G_QIE | VTD_G_IRE | VTD_G_CFI)

#define VTD_RTADDR_MODE  0xc00ULL /* 0: legacy */
#define VTD_PMEN_ENABLE  (1U << 31)
#define VTD_PMEN_STATUS  (1U << 0)
#define VTD_FECTL_MASKED (1U << 31)
#define VTD_IRTA_X2APIC  (1ULL << 11)

/* Section 11.4.9. */
#define VTD_FSTS_OVERFLOW    (1U << 0)
#define VTD_FSTS_PENDING     (1U << 1)
#define VTD_FSTS_QUEUE_ERROR (1U << 4)
#define VTD_FSTS_COMPLETION  (1U << 5)
#define VTD_FSTS_TIMEOUT     (1U << 6)
#define VTD_FSTS_QUEUE_FAULT (VTD_FSTS_QUEUE_ERROR | VTD_FSTS_COMPLETION | VTD_FSTS_TIMEOUT)
#define VTD_FSTS_CLEAR       (VTD_FSTS_OVERFLOW | VTD_FSTS_QUEUE_FAULT)

/* A fault record, section 11.4.14: two words; the upper half of the second holds F. */
#define VTD_FAULT_SIZE         16U
#define VTD_FAULT_PENDING      (1ULL << 63)
#define VTD_FAULT_IS_READ      (1ULL << 62)
#define VTD_FAULT_REASON(high) ((unsigned)((high) >> 32 & 0xffU))
#define VTD_FAULT_SOURCE(high) ((uint16_t)(high))
#define VTD_FAULT_ADDRESS(low) ((low) & ~0xfffULL)
#define VTD_FAULT_IRQ(low)     ((low) >> 48)
#define VTD_FAULT_IR_FIRST     0x20U
#define VTD_FAULT_IR_LAST      0x2fU

/* Two words of 64 bits: an entry of root or context table, an interrupt entry, a descriptor. */
struct vtd_pair {
    uint64_t word[2];
};
_Static_assert(sizeof(struct vtd_pair) == 16, "VT-d 4.1, 9.1, 9.3, 9.10 and 6.5.2: 128 bits");

static inline struct vtd_pair vtd_pair(uint64_t low, uint64_t high)
{
    return (struct vtd_pair){
        {low, high}
    };
}

#define VTD_PRESENT       1ULL
#define VTD_TABLE_ADDRESS 0x000ffffffffff000ULL

/* Second-stage paging entries, section 9.8. */
#define VTD_SS_READ  (1ULL << 0)
#define VTD_SS_WRITE (1ULL << 1)
#define VTD_SS_LARGE (1ULL << 7)
#define VTD_SS_SNOOP (1ULL << 11)

/* Section 9.1: the context table of one bus. */
static inline struct vtd_pair vtd_root_entry(hpa_t context_table)
{
    return vtd_pair(context_table.raw | VTD_PRESENT, 0);
}

/*
 * Section 9.3: translate untranslated requests with a second-stage table of LEVELS (3..5); requests
 * of device TLBs are blocked; faults are recorded.
 */
static inline struct vtd_pair vtd_context_entry(hpa_t table, unsigned levels, uint16_t domain)
{
    return vtd_pair(table.raw | VTD_PRESENT, (levels - 2ULL) | (uint64_t)domain << 8);
}

/*
 * Section 9.10: physical destination, fixed delivery, edge; only SOURCE may send it (SVT 01: all
 * bits of the requester id count). Without X2APIC the destination has 8 bits.
 */
static inline struct vtd_pair vtd_irq_entry(uint32_t apic_id, uint8_t vector, uint16_t source,
                                            bool x2apic)
{
    uint64_t destination = x2apic ? apic_id : (uint64_t)(apic_id & 0xffU) << 8;

    return vtd_pair(VTD_PRESENT | (uint64_t)vector << 16 | destination << 32, source | 1ULL << 18);
}

/* Section 5.1.2.2: the remappable format, without a sub-handle. */
static inline uint64_t vtd_irq_address(uint16_t entry)
{
    return MSI_BASE | (entry & 0x7fffULL) << 5 | 1ULL << 4 | (entry >> 15 & 1ULL) << 2;
}

/* Section 6.5.2: invalidation descriptors. */
static inline struct vtd_pair vtd_invalidate_contexts(void)
{
    return vtd_pair(0x1U | 1U << 4, 0);
}

static inline struct vtd_pair vtd_invalidate_context(uint16_t source, uint16_t domain)
{
    return vtd_pair(0x1U | 3U << 4 | (uint64_t)domain << 16 | (uint64_t)source << 32, 0);
}

#define VTD_DRAIN (1ULL << 6 | 1ULL << 7) /* writes and reads under way finish first */

static inline struct vtd_pair vtd_invalidate_all(void)
{
    return vtd_pair(0x2U | 1U << 4 | VTD_DRAIN, 0);
}

static inline struct vtd_pair vtd_invalidate_domain(uint16_t domain)
{
    return vtd_pair(0x2U | 2U << 4 | VTD_DRAIN | (uint64_t)domain << 16, 0);
}

static inline struct vtd_pair vtd_invalidate_irqs(void)
{
    return vtd_pair(0x4U, 0);
}

static inline struct vtd_pair vtd_invalidate_irq(uint16_t entry)
{
    return vtd_pair(0x4U | 1U << 4 | (uint64_t)entry << 32, 0);
}

/* Write VALUE to STATUS (a multiple of 4) when all before is done; nothing after it begins before.
 */
static inline struct vtd_pair vtd_wait(hpa_t status, uint32_t value)
{
    return vtd_pair(0x5U | 1U << 5 | 1U << 6 | (uint64_t)value << 32, status.raw);
}

/* Section 7.1: what a fault reason says. */
const char *vtd_fault_text(unsigned reason);

#endif
