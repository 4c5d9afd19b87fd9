/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's DMA Remapping table: Intel's IOMMUs and what is behind them.
 * Intel VT-d specification 4.1, chapter 8.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_DMAR_H
#define PORTOLAN_DRIVERS_ACPI_DMAR_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define ACPI_DRHDS_MAX      64U
#define ACPI_RMRRS_MAX      64U
#define ACPI_ATSRS_MAX      16U
#define ACPI_SCOPES_MAX     512U
#define ACPI_SCOPE_PATH_MAX 8U

enum acpi_scope_type {
    ACPI_SCOPE_ENDPOINT = 1,
    ACPI_SCOPE_BRIDGE = 2, /* and everything below it */
    ACPI_SCOPE_IOAPIC = 3,
    ACPI_SCOPE_HPET = 4,
    ACPI_SCOPE_NAMESPACE = 5
};

/*
 * One device: the function path[0] of bus 'bus'; or, when there are more steps, path[1] on the
 * secondary bus of the bridge path[0], and so on.
 */
struct acpi_scope {
    uint8_t type; /* enum acpi_scope_type */
    uint8_t id;   /* IOAPIC id, HPET number or namespace device number */
    uint8_t bus;
    uint8_t path_length;               /* 1..ACPI_SCOPE_PATH_MAX */
    uint8_t path[ACPI_SCOPE_PATH_MAX]; /* device << 3 | function */
};

/* A run of acpi_dmar.scopes. */
struct acpi_scopes {
    uint16_t first;
    uint16_t count;
};

/* A remapping unit. At most one of a segment is 'include_all': it has the rest of the segment. */
struct acpi_drhd {
    hpa_t base;    /* registers, page-aligned */
    uint32_t size; /* bytes of registers, a power of two of at least a page */
    uint16_t segment;
    bool include_all;
    struct acpi_scopes scopes;
};

/* Memory that the devices in 'scopes' go on using by DMA: to be mapped one to one. */
struct acpi_rmrr {
    hpa_t base;    /* page-aligned */
    uint64_t size; /* bytes, > 0 */
    uint16_t segment;
    struct acpi_scopes scopes;
};

/* Root ports below which devices may use address translation services. */
struct acpi_atsr {
    uint16_t segment;
    bool all_ports;
    struct acpi_scopes scopes;
};

struct acpi_dmar {
    bool present;
    bool complete;            /* no unit, scope or reserved range was left out: may be relied on */
    bool interrupt_remapping; /* the platform supports it; each unit's ECAP.IR says so too */
    bool x2apic_opt_out;      /* firmware asks software not to turn x2APIC on */
    bool dma_opt_in;          /* firmware asks for remapping to be on early */
    uint8_t address_width;    /* bits of DMA addresses, 1..64 */
    uint32_t drhd_count;
    uint32_t rmrr_count;
    uint32_t atsr_count;
    uint32_t scope_count;
    struct acpi_drhd drhds[ACPI_DRHDS_MAX];
    struct acpi_rmrr rmrrs[ACPI_RMRRS_MAX];
    struct acpi_atsr atsrs[ACPI_ATSRS_MAX];
    struct acpi_scope scopes[ACPI_SCOPES_MAX];
};

/*
 * Read the table TABLE (with its header) into *DMAR, which is overwritten. Structures that make no
 * sense are left out with a warning. INVALID, with '*dmar' empty, when the table is too short for
 * its fixed part. Pure: no hardware, any CPU.
 */
enum status dmar_parse(struct acpi_window table, struct acpi_dmar *dmar);

#endif
