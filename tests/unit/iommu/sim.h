/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulated IOMMUs at the register edge (drivers/iommu/hardware.c), with the pool they read.
 *
 * They are as unkind as the manuals allow: what they have seen once stays cached until they are
 * told to forget it; what was not written back is not seen by a unit that does not snoop; new pages
 * of the pool hold garbage for such a unit; commands take time. A page that is given back to the
 * pool while a unit can still use it fails the test.
 */
#ifndef PORTOLAN_TESTS_UNIT_IOMMU_SIM_H
#define PORTOLAN_TESTS_UNIT_IOMMU_SIM_H

#include "drivers/acpi/acpi.h"
#include "drivers/iommu/iommu.h"
#include "vmm/base/types.h"

#define SIM_UNITS_MAX 4U
#define SIM_CACHE_MAX 512U
#define SIM_FAULTS    8U /* fault records of a VT-d unit */
#define SIM_EDGE_MAX  1024U

enum sim_kind { SIM_VTD, SIM_AMDVI };

/* What a unit remembers of a requester, of a page, and of tables on the way to it. */
struct sim_device {
    uint16_t source, domain;
    bool present;
    uint64_t words[4];
};

struct sim_page {
    uint16_t domain;
    uint64_t iova, size, base;
    uint64_t tables[6]; /* physical addresses of the tables that led there */
    uint64_t leaf; /* AMD-Vi: the address of the entry that is to be marked when it is written; 0:
                      none */
    bool read, write, present;
};

struct sim_irq {
    uint32_t index;
    uint16_t source; /* AMD-Vi: the table's owner */
    uint64_t page;   /* that the entry stands in */
    uint64_t words[2];
};

struct sim_unit {
    enum sim_kind kind;
    uint64_t base;
    uint8_t window[1]; /* stands for the registers */

    /* Set by the test before iommu_init(). */
    uint64_t cap, ecap;  /* VT-d */
    uint64_t features;   /* AMD-Vi */
    bool np_cache;       /* AMD-Vi: what is not present is cached as well */
    bool coherent;       /* snoops */
    unsigned delay;      /* microseconds until a command is done */
    uint32_t hang;       /* VT-d: bits of GCMD that are never answered */
    bool queue_hangs;    /* commands are not carried out */
    bool queue_refuses;  /* VT-d: the next descriptor is an error */
    bool absent;         /* reads all ones */
    bool forgets_writes; /* AMD-Vi: registers hold nothing */

    /* A device that goes on and on writing there, between any two steps of the driver. */
    bool busy;
    uint16_t busy_source;
    uint64_t busy_iova;
    bool silent; /* nothing is recorded just now */

    /* State. */
    uint32_t gsts, gcmd_pending, gcmd_value;
    unsigned gcmd_wait, queue_wait;
    uint64_t rtaddr, root; /* written, and in use */
    uint64_t irta, irq_table;
    uint64_t iqa, iqh, iqt;
    uint32_t fsts, pmen, fectl;
    uint64_t faults[SIM_FAULTS][2];
    uint64_t control, status, registers[8]; /* AMD-Vi */
    uint64_t head, tail, event_head, event_tail;

    struct sim_device devices[SIM_CACHE_MAX];
    struct sim_page pages[SIM_CACHE_MAX];
    struct sim_irq irqs[SIM_CACHE_MAX];
    unsigned device_count, page_count, irq_count;
    unsigned long commands; /* carried out */
    unsigned long flushes;  /* VT-d: of the write buffer */
};

/* Empty machine: no units, no PCI functions, a fresh pool of PAGES pages (0: as many as fit). */
void sim_reset(unsigned pages);

/* A unit at BASE with everything on; change it before iommu_init(). */
struct sim_unit *sim_add(enum sim_kind kind, uint64_t base);

/* Firmware's tables for the units: to be filled by the test. */
extern struct acpi_facts sim_acpi;

/* DMA of SOURCE at IOVA through UNIT as hardware does it. False: blocked, and recorded. */
bool sim_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write, uint64_t *base);

/* The message of SOURCE, through UNIT: to which CPU with which vector? False: blocked, recorded. */
bool sim_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                 uint32_t *apic_id, uint8_t *vector);

/* What iommu_edge_fault() was given. */
extern struct iommu_fault sim_edge[SIM_EDGE_MAX];
extern unsigned sim_edge_count;

unsigned sim_pool_pages(void); /* handed out */
unsigned long sim_write_backs(void);
unsigned long sim_stores(bool with_irqs_off); /* to tables: all, or those of that kind */
void sim_pool_limit(int pages);               /* this many more succeed; negative: no limit */

/* For the two kinds: memory as UNIT sees it, and its own writes. */
uint64_t sim_load(const struct sim_unit *unit, uint64_t address);
void sim_store(uint64_t address, uint64_t value);
void sim_require(bool condition, const char *what);
const struct sim_page *sim_remember(struct sim_unit *unit, const struct sim_page *page);
void sim_forget_domain(struct sim_unit *unit, uint16_t domain, uint64_t iova, uint64_t size);

uint32_t sim_vtd_read32(struct sim_unit *unit, uint32_t offset);
uint64_t sim_vtd_read64(struct sim_unit *unit, uint32_t offset);
void sim_vtd_write(struct sim_unit *unit, uint32_t offset, uint64_t value, unsigned width);
void sim_vtd_tick(struct sim_unit *unit);
bool sim_vtd_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write, uint64_t *base);
bool sim_vtd_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                     uint32_t *apic_id, uint8_t *vector);

uint64_t sim_amdvi_read64(struct sim_unit *unit, uint32_t offset);
void sim_amdvi_write64(struct sim_unit *unit, uint32_t offset, uint64_t value);
void sim_amdvi_tick(struct sim_unit *unit);
bool sim_amdvi_dma(struct sim_unit *unit, uint16_t source, uint64_t iova, bool write,
                   uint64_t *base);
bool sim_amdvi_message(struct sim_unit *unit, uint16_t source, uint64_t address, uint32_t data,
                       uint32_t *apic_id, uint8_t *vector);

#endif
