/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the VT-d driver. Private to this folder. */
#ifndef PORTOLAN_DRIVERS_IOMMU_VTD_H
#define PORTOLAN_DRIVERS_IOMMU_VTD_H

#include "drivers/iommu/iommu_backend.h"
#include "drivers/iommu/vtd_format.h"

struct vtd_unit {
    uint8_t *registers;
    uint64_t size; /* bytes mapped */
    const struct acpi_drhd *drhd;
    uint64_t cap;
    uint64_t ecap;
    struct vtd_pair *queue; /* a page */
    uint64_t *status;       /* where the unit writes that it is done */
    uint32_t tail;          /* next free descriptor */
    uint32_t sequence;      /* last value asked for in 'status' */
    bool failed;            /* given up */
    char name[24];          /* for messages */
};

/* vtd_unit.c: one unit. */
enum status vtd_unit_open(struct vtd_unit *unit, const struct acpi_drhd *drhd);
enum status vtd_unit_start(struct vtd_unit *unit, hpa_t root_table, hpa_t irq_table, bool x2apic);

/* Wait until what was written to tables has left the chipset's buffers (CAP.RWBF). */
enum status vtd_unit_flush_writes(struct vtd_unit *unit);

/*
 * Let UNIT carry out COUNT descriptors, fewer than its queue holds, and wait until it says that
 * they are done. TIMEOUT or DEVICE: it did not, and is given up.
 */
enum status vtd_unit_run(struct vtd_unit *unit, const struct vtd_pair *descriptors, unsigned count);

/* Report what UNIT has recorded. */
void vtd_unit_poll(struct vtd_unit *unit);

/* vtd_tables.c: root and context tables; one root a segment. */
void vtd_tables_reset(void);
enum status vtd_tables_root(uint16_t segment, hpa_t *root);

/* The context entry of requester BDF; with MAKE its table is made. NULL: none, or no memory. */
struct vtd_pair *vtd_tables_context(bdf_t bdf, bool make);

/* Write back an entry for units that do not snoop. */
void vtd_tables_write_back(const struct vtd_pair *entry);

#endif
