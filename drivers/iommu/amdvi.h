/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the AMD-Vi driver. Private to this folder. */
#ifndef PORTOLAN_DRIVERS_IOMMU_AMDVI_H
#define PORTOLAN_DRIVERS_IOMMU_AMDVI_H

#include "drivers/iommu/amdvi_format.h"
#include "drivers/iommu/iommu_backend.h"

struct amdvi_unit {
    uint8_t *registers;
    const struct acpi_ivhd *ivhd;
    uint64_t features;
    struct amdvi_entry *commands; /* a page each */
    struct amdvi_entry *events;
    uint64_t *status;  /* where the unit writes that it is done */
    uint64_t sequence; /* last value asked for in 'status' */
    uint32_t tail;     /* next free command */
    bool caches_absent;
    bool failed;   /* given up */
    char name[24]; /* for messages */
};

/* amdvi_unit.c: one unit. */
enum status amdvi_unit_open(struct amdvi_unit *unit, const struct acpi_ivhd *ivhd);

/* Switch it off if firmware left it on, and on with DEVICES of SIZE bytes. */
enum status amdvi_unit_start(struct amdvi_unit *unit, hpa_t devices, uint64_t size, bool x2apic);

/*
 * Let UNIT carry out COUNT <= AMDVI_BATCH_MAX commands, and wait until it says that they are done.
 * TIMEOUT: it did not, and is given up.
 */
#define AMDVI_BATCH_MAX 128U
enum status amdvi_unit_run(struct amdvi_unit *unit, const struct amdvi_entry *commands,
                           unsigned count);

/* Report what UNIT has recorded. */
void amdvi_unit_poll(struct amdvi_unit *unit);

/* amdvi_tables.c: device tables; one a segment. */
void amdvi_tables_reset(void);

/* The table of SEGMENT, made at the first call with every id blocked. */
enum status amdvi_tables_make(const struct acpi_ivrs *ivrs, uint16_t segment, hpa_t *table,
                              uint64_t *size);

/* The entry of id ID of SEGMENT, NULL: the table has none. */
struct amdvi_device *amdvi_tables_device(uint16_t segment, uint16_t id);

/* Direct it to TABLE; or block it again, keeping what firmware wants of system messages. */
void amdvi_tables_open(struct amdvi_device *device, hpa_t table, unsigned levels, uint16_t domain);
void amdvi_tables_block(const struct acpi_ivrs *ivrs, uint16_t segment, uint16_t id);

#endif
