/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the VMM learns from ACPI, read once at boot.
 *
 *   acpi_init(hpa(handoff->rsdp));
 *   const struct acpi_facts *acpi = acpi_facts();
 *   for (i = 0; i < acpi->madt.cpu_count; i++) ... acpi->madt.cpus[i].apic_id ...
 *
 * A table that is missing or broken leaves its '.present' false and the rest of its structure zero;
 * the log has a warning that names the table and what is wrong with it.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_ACPI_H
#define PORTOLAN_DRIVERS_ACPI_ACPI_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* ---- MADT: CPUs and I/O APICs. ACPI 6.5, section 5.2.12 ---- */

#define ACPI_CPUS_MAX    256U
#define ACPI_IOAPICS_MAX 64U

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

struct acpi_madt {
    bool present;
    hpa_t local_apic; /* with the 64-bit override applied */
    uint32_t cpu_count;
    uint32_t cpus_online_capable; /* not enabled, but may be plugged in: not in the list */
    uint32_t cpus_left_out;       /* enabled, but beyond ACPI_CPUS_MAX */
    uint32_t ioapic_count;
    struct acpi_cpu cpus[ACPI_CPUS_MAX];
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
};

/* ---- MCFG: PCI Express configuration space. PCI Firmware Specification 3.3, 4.1.2 ---- */

#define ACPI_ECAM_MAX 32U

/* Buses 'bus_first'..'bus_last' of one segment. Ranges do not overlap in buses or addresses. */
struct acpi_ecam {
    hpa_t base; /* of bus 0 of the segment, whether or not it is in the range; 1 MiB a bus */
    uint16_t segment;
    uint8_t bus_first;
    uint8_t bus_last;
};

struct acpi_mcfg {
    bool present;
    uint32_t ecam_count;
    struct acpi_ecam ecams[ACPI_ECAM_MAX];
};

/* ---- DMAR: Intel's IOMMUs and what is behind them. VT-d specification 4.1, chapter 8 ---- */

#define ACPI_DRHDS_MAX      64U
#define ACPI_RMRRS_MAX      64U
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

/* Devices that go on using memory of firmware's by DMA. */
struct acpi_rmrr {
    uint16_t segment;
    struct acpi_scopes scopes;
};

struct acpi_dmar {
    bool present;
    bool complete;            /* no unit, scope or reserved range was left out: may be relied on */
    bool interrupt_remapping; /* the platform supports it; each unit's ECAP.IR says so too */
    bool x2apic_opt_out;      /* firmware asks software not to turn x2APIC on */
    uint32_t drhd_count;
    uint32_t rmrr_count;
    uint32_t scope_count;
    struct acpi_drhd drhds[ACPI_DRHDS_MAX];
    struct acpi_rmrr rmrrs[ACPI_RMRRS_MAX];
    struct acpi_scope scopes[ACPI_SCOPES_MAX];
};

/* ---- IVRS: AMD's IOMMUs and what is behind them. AMD IOMMU specification 3.08, 5.2 ---- */

#define ACPI_IVHDS_MAX        32U
#define ACPI_IVHD_DEVICES_MAX 1024U
#define ACPI_IVMDS_MAX        64U

/* Bits of acpi_ivhd_device.settings, as the table has them. */
#define ACPI_IVHD_LINT1_PASS  0x80U
#define ACPI_IVHD_LINT0_PASS  0x40U
#define ACPI_IVHD_SYSMGT_MASK 0x30U
#define ACPI_IVHD_NMI_PASS    0x04U
#define ACPI_IVHD_EINT_PASS   0x02U
#define ACPI_IVHD_INIT_PASS   0x01U

enum acpi_ivhd_special { ACPI_IVHD_NOT_SPECIAL = 0, ACPI_IVHD_IOAPIC = 1, ACPI_IVHD_HPET = 2 };

/* Requester ids 'first'..'last' (bus << 8 | devfn) of 'segment' belong to a unit. */
struct acpi_ivhd_device {
    uint16_t segment;
    uint16_t first;
    uint16_t last;  /* >= first */
    uint16_t alias; /* the requester id they show up as, when 'has_alias' */
    bool has_alias;
    uint8_t unit;     /* index of acpi_ivrs.ivhds */
    uint8_t settings; /* ACPI_IVHD_*_PASS */
    uint8_t special;  /* enum acpi_ivhd_special: 'first' is the id that interrupts carry */
};

struct acpi_ivhd {
    hpa_t base;          /* registers */
    bdf_t bdf;           /* the IOMMU's own PCI function */
    uint16_t capability; /* offset of its capability in config space */
    uint8_t flags;       /* as in the table */
};

/* Requester ids whose devices go on using memory of firmware's by DMA. */
struct acpi_ivmd {
    uint16_t segment;
    uint16_t first;
    uint16_t last;
};

struct acpi_ivrs {
    bool present;
    bool complete;         /* no unit, device or memory range was left out: may be relied on */
    uint8_t virtual_width; /* bits of virtual addresses, 0: not given */
    uint32_t ivhd_count;
    uint32_t device_count;
    uint32_t ivmd_count;
    struct acpi_ivhd ivhds[ACPI_IVHDS_MAX];
    struct acpi_ivhd_device devices[ACPI_IVHD_DEVICES_MAX];
    struct acpi_ivmd ivmds[ACPI_IVMDS_MAX];
};

/* ---- FADT: power management registers. ACPI 6.5, section 5.2.9 ---- */

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI_CONFIG = 2 };

/* A register: ACPI's Generic Address Structure, checked. 'address' 0: there is no such register. */
struct acpi_register {
    uint64_t address; /* a port below 0x10000, or host-physical, or PCI dev:fn:offset on bus 0 */
    uint8_t space;    /* enum acpi_space */
    uint8_t width;    /* bytes of one access: 1, 2 or 4 */
};

struct acpi_fadt {
    bool present;
    uint8_t acpi_enable;  /* value for smi_command that takes the machine out of legacy mode */
    uint8_t reset_value;  /* for 'reset' */
    uint16_t smi_command; /* port, 0: always in ACPI mode */
    struct acpi_register pm_timer; /* 3.579545 MHz, read 4 bytes */
    struct acpi_register pm1a_control;
    struct acpi_register pm1b_control;
    struct acpi_register sleep_control; /* hardware-reduced machines only: they have no other */
    struct acpi_register reset;         /* only if firmware says that it works */
    hpa_t dsdt;                         /* 0: none */
};

/* What to write to SLP_TYP of PM1a and PM1b control for S5. ACPI 6.5, section 7.4.2. */
struct acpi_s5 {
    bool present;
    uint8_t type_a; /* 0..7 */
    uint8_t type_b; /* 0..7 */
};

struct acpi_facts {
    bool present; /* an RSDP and a root table were found and are sound */
    struct acpi_madt madt;
    struct acpi_mcfg mcfg;
    struct acpi_dmar dmar;
    struct acpi_ivrs ivrs;
    struct acpi_fadt fadt;
    struct acpi_s5 s5;
};

/*
 * Find and read all tables from the root pointer RSDP (0: there is none). Maps what it reads with
 * map_physical() and releases it again, so the tables' memory is free afterwards. NOT_FOUND without
 * an RSDP, INVALID when it or the root table is unsound; everything else that is wrong is a
 * warning. Boot CPU, once, when map_physical() works.
 */
enum status acpi_init(hpa_t rsdp);

/* What acpi_init() found; valid and constant for ever after it; all zero before. Any CPU. */
const struct acpi_facts *acpi_facts(void);

/*
 * Switch the machine off (S5). Does not return when it works; NOT_FOUND when firmware describes no
 * way, TIMEOUT when the machine is still on a second after it was told. One CPU, the others
 * stopped. ACPI 6.5, sections 4.8.3 and 7.4.
 */
enum status acpi_power_off(const struct acpi_facts *facts);

/*
 * Reset the machine: the FADT's reset register, then the chipset's port CF9h, then the keyboard
 * controller. Does not return when one of them works, else TIMEOUT. FACTS may be all zero (then
 * only the ports are tried). Any CPU, any state.
 */
enum status acpi_reset(const struct acpi_facts *facts);

#endif
