/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-Vi's registers, tables, commands and events, as hardware reads and writes them.
 * AMD I/O Virtualization Technology (IOMMU) Specification 3.08: sections 2.2 (tables), 2.4
 * (commands), 2.5 (events) and 3.4 (registers). Pure; for this folder, the report and the tests.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_AMDVI_FORMAT_H
#define PORTOLAN_DRIVERS_IOMMU_AMDVI_FORMAT_H

#include "vmm/base/types.h"

/* Section 3.4; all 64 bits wide. */
enum amdvi_register {
    AMDVI_DEVICE_TABLE = 0x0000,
    AMDVI_COMMANDS = 0x0008,
    AMDVI_EVENTS = 0x0010,
    AMDVI_CONTROL = 0x0018,
    AMDVI_EXCLUSION_BASE = 0x0020,
    AMDVI_EXCLUSION_LIMIT = 0x0028,
    AMDVI_FEATURES = 0x0030,
    AMDVI_COMMAND_HEAD = 0x2000,
    AMDVI_COMMAND_TAIL = 0x2008,
    AMDVI_EVENT_HEAD = 0x2010,
    AMDVI_EVENT_TAIL = 0x2018,
    AMDVI_STATUS = 0x2020
};

#define AMDVI_REGISTERS_SIZE (4 * PAGE_SIZE)

/* Of the control register, section 3.4.6. */
#define AMDVI_C_ENABLE      (1ULL << 0)
#define AMDVI_C_HT_TUNNEL   (1ULL << 1)
#define AMDVI_C_EVENTS      (1ULL << 2)
#define AMDVI_C_TIMEOUT_1S  (4ULL << 5) /* of device TLBs */
#define AMDVI_C_PASS_PW     (1ULL << 8)
#define AMDVI_C_RESPONSE_PW (1ULL << 9)
#define AMDVI_C_COHERENT    (1ULL << 10) /* device table reads snoop */
#define AMDVI_C_ISOCHRONOUS (1ULL << 11)
#define AMDVI_C_COMMANDS    (1ULL << 12)
#define AMDVI_C_WIDE_IRQS   (1ULL << 17) /* GAEn: interrupt entries have 128 bits */
#define AMDVI_C_X2APIC      (1ULL << 50) /* XTEn: and 32-bit destinations */

/* Extended features, section 3.4.8. */
#define AMDVI_F_X2APIC         (1ULL << 2)
#define AMDVI_F_INVALIDATE_ALL (1ULL << 6)
#define AMDVI_F_WIDE_IRQS      (1ULL << 7)               /* GASup: and guests' APICs */
#define AMDVI_F_HATS(features) ((features) >> 10 & 0x3U) /* levels of page tables, from 4 */
#define AMDVI_F_MARKS          (1ULL << 49 | 1ULL << 52) /* HASup, HDSup */

/* Status, section 3.4.15. */
#define AMDVI_S_EVENT_OVERFLOW (1ULL << 0)
#define AMDVI_S_EVENT_INT      (1ULL << 1)
#define AMDVI_S_EVENTS_RUN     (1ULL << 3)
#define AMDVI_S_COMMANDS_RUN   (1ULL << 4)

/* Flags of a unit in the IVRS table, section 5.2.2.1. */
#define AMDVI_IVHD_HT_TUNNEL   0x01U
#define AMDVI_IVHD_PASS_PW     0x02U
#define AMDVI_IVHD_RESPONSE_PW 0x04U
#define AMDVI_IVHD_ISOCHRONOUS 0x08U
#define AMDVI_IVHD_COHERENT    0x20U

/* The header of the unit's capability in configuration space, section 3.2.1. */
#define AMDVI_CAP_NPCACHE (1U << 26) /* caches also what is not present */

/* Rings of 2^8 entries of 16 bytes: the length field of AMDVI_COMMANDS and AMDVI_EVENTS. */
#define AMDVI_RING_ENTRIES 256U
#define AMDVI_RING_LENGTH  (8ULL << 56)
#define AMDVI_ENTRY_SHIFT  4U
#define AMDVI_RING_MASK    ((uint64_t)(AMDVI_RING_ENTRIES - 1) << AMDVI_ENTRY_SHIFT)

/* A device table entry, section 2.2.2.1. */
struct amdvi_device {
    uint64_t word[4];
};
_Static_assert(sizeof(struct amdvi_device) == 32, "AMD IOMMU 3.08, 2.2.2.1: 256 bits");

#define AMDVI_D_VALID        (1ULL << 0)
#define AMDVI_D_TRANSLATION  (1ULL << 1) /* TV */
#define AMDVI_D_MARKS        (3ULL << 7) /* HAD: accessed and dirty bits are set */
#define AMDVI_D_LEVELS(n)    ((uint64_t)(n) << 9)
#define AMDVI_D_READ         (1ULL << 61)
#define AMDVI_D_WRITE        (1ULL << 62)
#define AMDVI_D_IRQ_VALID    (1ULL << 0)              /* word 2: IV */
#define AMDVI_D_IRQ_LENGTH_8 (8ULL << 1)              /* word 2: IntTabLen, 2^8 entries */
#define AMDVI_D_IRQ_REMAP    (2ULL << 60)             /* word 2: IntCtl */
#define AMDVI_D_SYSMGT(bits) ((uint64_t)(bits) << 40) /* word 1 */

/* An entry of a host page table, section 2.2.3. */
#define AMDVI_P_PRESENT  (1ULL << 0)
#define AMDVI_P_WRITTEN  (1ULL << 6)  /* D */
#define AMDVI_P_COHERENT (1ULL << 60) /* FC: DMA snoops, whatever the device says */
#define AMDVI_P_READ     (1ULL << 61)
#define AMDVI_P_WRITE    (1ULL << 62)

/* Commands and events. */
struct amdvi_entry {
    uint64_t word[2];
};
_Static_assert(sizeof(struct amdvi_entry) == 16, "AMD IOMMU 3.08, 2.4 and 2.5: 128 bits");

/* Words 0 and 1 of an entry that lets nothing through: translation on, with no rights. */
#define AMDVI_BLOCKED (AMDVI_D_VALID | AMDVI_D_TRANSLATION)

static inline uint64_t amdvi_device_root(hpa_t table, unsigned levels)
{
    return AMDVI_D_VALID | AMDVI_D_TRANSLATION | AMDVI_D_LEVELS(levels) | table.raw | AMDVI_D_READ |
           AMDVI_D_WRITE;
}

/* Section 2.2.5: fixed and arbitrated interrupts go through TABLE of 256 entries, 0: are blocked.
 */
static inline uint64_t amdvi_device_irqs(hpa_t table)
{
    return AMDVI_D_IRQ_VALID |
           (table.raw != 0 ? AMDVI_D_IRQ_LENGTH_8 | table.raw | AMDVI_D_IRQ_REMAP : 0);
}

/* Section 2.2.5.2, GAEn = 0: 32 bits; fixed, physical, edge. */
static inline uint32_t amdvi_irq_entry(uint32_t apic_id, uint8_t vector)
{
    return 1U | (apic_id & 0xffU) << 8 | (uint32_t)vector << 16;
}

/* Section 2.2.5.2, GAEn = XTEn = 1: 128 bits. */
static inline struct amdvi_entry amdvi_irq_entry_wide(uint32_t apic_id, uint8_t vector)
{
    return (struct amdvi_entry){
        {1ULL | (uint64_t)(apic_id & 0xffffffU) << 8, vector | (uint64_t)(apic_id >> 24) << 56}
    };
}

/* Section 2.4: the code stands in bits 63:60. */
static inline struct amdvi_entry amdvi_command(unsigned code, uint64_t low, uint64_t high)
{
    return (struct amdvi_entry){
        {(uint64_t)code << 60 | low, high}
    };
}

/* Store VALUE at ADDRESS (a multiple of 8) when all commands before are done. */
static inline struct amdvi_entry amdvi_wait(hpa_t address, uint64_t value)
{
    return amdvi_command(1, address.raw | 1U, value);
}

static inline struct amdvi_entry amdvi_invalidate_device(uint16_t id)
{
    return amdvi_command(2, id, 0);
}

/* All pages of DOMAIN, with the tables above them. */
static inline struct amdvi_entry amdvi_invalidate_domain(uint16_t domain)
{
    return amdvi_command(3, (uint64_t)domain << 32, 0x7ffffffffffff000ULL | 3U);
}

static inline struct amdvi_entry amdvi_invalidate_irqs(uint16_t id)
{
    return amdvi_command(5, id, 0);
}

static inline struct amdvi_entry amdvi_invalidate_all(void)
{
    return amdvi_command(8, 0, 0);
}

/* Section 2.5: events. */
enum amdvi_event {
    AMDVI_EVENT_ILLEGAL_DEVICE = 1,
    AMDVI_EVENT_PAGE_FAULT = 2,
    AMDVI_EVENT_DEVICE_TABLE = 3,
    AMDVI_EVENT_PAGE_TABLE = 4,
    AMDVI_EVENT_ILLEGAL_COMMAND = 5,
    AMDVI_EVENT_COMMAND_ERROR = 6,
    AMDVI_EVENT_TLB_TIMEOUT = 7,
    AMDVI_EVENT_INVALID_REQUEST = 8
};

#define AMDVI_EVENT_CODE(word)   ((unsigned)((word) >> 60))
#define AMDVI_EVENT_SOURCE(word) ((uint16_t)(word))
#define AMDVI_EVENT_INTERRUPT    (1ULL << 51) /* I */
#define AMDVI_EVENT_PRESENT      (1ULL << 52) /* PR */
#define AMDVI_EVENT_WRITE        (1ULL << 53) /* RW */
#define AMDVI_EVENT_RIGHTS       (1ULL << 54) /* PE */
#define AMDVI_EVENT_RESERVED     (1ULL << 55) /* RZ */

/* What an event with this first word says; for people. */
const char *amdvi_event_text(uint64_t word);

#endif
