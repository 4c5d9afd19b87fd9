/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's Multiple APIC Description Table: the machine's CPUs and interrupt controllers.
 * ACPI 6.5, section 5.2.12.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_MADT_H
#define PORTOLAN_DRIVERS_ACPI_MADT_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define ACPI_CPUS_MAX        256U
#define ACPI_IOAPICS_MAX     64U
#define ACPI_OVERRIDES_MAX   16U /* one for each ISA interrupt */
#define ACPI_NMI_SOURCES_MAX 8U
#define ACPI_LOCAL_NMIS_MAX  256U

/* A local NMI that is wired to every CPU names this processor UID. */
#define ACPI_UID_ALL 0xffffffffU

/* A CPU that firmware has enabled. APIC ids are unique in the list. */
struct acpi_cpu {
    uint32_t apic_id; /* x2APIC ids need not fit 8 bits */
    uint32_t uid;     /* ACPI processor UID */
};

struct acpi_ioapic {
    hpa_t base;
    uint32_t gsi_base; /* global system interrupt of its pin 0 */
    uint8_t id;
};

/* Polarity and trigger of an interrupt: MPS INTI flags, ACPI 6.5 table 5.26. */
struct acpi_inti {
    bool active_low;      /* both false when the entry 'conforms to the bus': ISA is */
    bool level_triggered; /* active high and edge-triggered */
};

/* ISA interrupt SOURCE arrives at GSI. */
struct acpi_override {
    uint32_t gsi;
    struct acpi_inti inti;
    uint8_t source;
};

/* A GSI that firmware made an NMI. */
struct acpi_nmi_source {
    uint32_t gsi;
    struct acpi_inti inti;
};

/* A local APIC pin that carries NMI. */
struct acpi_local_nmi {
    uint32_t uid; /* of the processor, or ACPI_UID_ALL */
    struct acpi_inti inti;
    uint8_t lint; /* 0 or 1 */
};

struct acpi_madt {
    bool present;
    bool has_8259;    /* a PC-AT pair of 8259s is there and must be masked */
    hpa_t local_apic; /* with the 64-bit override applied */
    uint32_t cpu_count;
    uint32_t cpus_online_capable; /* not enabled, but may be plugged in: not in the list */
    uint32_t cpus_left_out;       /* enabled, but beyond ACPI_CPUS_MAX */
    uint32_t ioapic_count;
    uint32_t override_count;
    uint32_t nmi_source_count;
    uint32_t local_nmi_count;
    struct acpi_cpu cpus[ACPI_CPUS_MAX];
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_override overrides[ACPI_OVERRIDES_MAX];
    struct acpi_nmi_source nmi_sources[ACPI_NMI_SOURCES_MAX];
    struct acpi_local_nmi local_nmis[ACPI_LOCAL_NMIS_MAX];
};

/*
 * Read the table TABLE (with its header) into *MADT, which is overwritten. Entries that make no
 * sense are left out with a warning; INVALID, with '*madt' empty, when the table is too short for
 * its fixed part. Pure: no hardware, any CPU.
 */
enum status madt_parse(struct acpi_window table, struct acpi_madt *madt);

#endif
