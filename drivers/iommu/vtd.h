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

extern struct vtd_unit vtd_units[IOMMU_UNITS_MAX];
extern uint32_t vtd_unit_count;

/* vtd_queue.c */
enum status vtd_queue_create(struct vtd_unit *unit);

/* Stop the queue that firmware left, and start ours. */
enum status vtd_queue_start(struct vtd_unit *unit);

/*
 * Let UNIT carry out COUNT <= VTD_BATCH_MAX descriptors, and wait until it says that they are done.
 * TIMEOUT or DEVICE: it did not, and is given up.
 */
#define VTD_BATCH_MAX 8U
enum status vtd_queue_run(struct vtd_unit *unit, const struct vtd_pair *descriptors,
                          unsigned count);

/* vtd_unit.c: start-up, and single commands. */
enum status vtd_unit_open(struct vtd_unit *unit, const struct acpi_drhd *drhd);
enum status vtd_unit_start(struct vtd_unit *unit, hpa_t root_table, hpa_t irq_table, bool x2apic);

/* Set (or clear) the states SET (CLEAR), or give a command in SET, and wait until it is done. */
enum status vtd_unit_command(struct vtd_unit *unit, uint32_t set, uint32_t clear);

/* Wait until what was written to tables has left the chipset's buffers (CAP.RWBF). */
enum status vtd_unit_flush_writes(struct vtd_unit *unit);

/* vtd_scope.c: firmware's lists of devices. */

/* Is BDF in SCOPES, itself or below a bridge that is? */
bool vtd_scopes_cover(const struct acpi_dmar *dmar, struct acpi_scopes scopes, uint16_t segment,
                      bdf_t bdf);

/* Which of DMAR's units has BDF: one that lists it, or the one that has the rest; -1: none. */
int vtd_scope_unit(const struct acpi_dmar *dmar, bdf_t bdf);

/* Does firmware reserve memory for BDF? */
bool vtd_scope_reserved(const struct acpi_dmar *dmar, bdf_t bdf);

/* vtd_tables.c: root and context tables; one root a segment. */
void vtd_tables_reset(void);
enum status vtd_tables_root(uint16_t segment, bool coherent, hpa_t *root);

/* The context entry of requester BDF; with MAKE its table is made. NULL: none, or no memory. */
struct vtd_pair *vtd_tables_context(bdf_t bdf, bool make, bool coherent);

/* Write back an entry for units that do not snoop. */
void vtd_tables_write_back(const struct vtd_pair *entry, bool coherent);

/* vtd_fault.c */
void vtd_fault_poll(void);

#endif
