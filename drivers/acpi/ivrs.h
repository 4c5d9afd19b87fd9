/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's I/O Virtualization Reporting Structure: AMD's IOMMUs and what is behind them.
 * AMD I/O Virtualization Technology (IOMMU) Specification 3.08, section 5.2.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_IVRS_H
#define PORTOLAN_DRIVERS_ACPI_IVRS_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

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

/* Requester ids 'first'..'last' (bus << 8 | devfn) of the unit's segment. */
struct acpi_ivhd_device {
    uint16_t first;
    uint16_t last;  /* >= first */
    uint16_t alias; /* the requester id they show up as, when 'has_alias' */
    bool has_alias;
    uint8_t settings;  /* ACPI_IVHD_*_PASS */
    uint8_t special;   /* enum acpi_ivhd_special: 'first' is the id that interrupts carry */
    uint8_t handle;    /* IOAPIC id or HPET number */
    uint32_t extended; /* extended settings (bit 31: ATS disabled), 0 when there are none */
};

struct acpi_ivhd {
    hpa_t base;            /* registers */
    bdf_t bdf;             /* the IOMMU's own PCI function */
    uint16_t capability;   /* offset of its capability in config space */
    uint8_t type;          /* 10h, 11h or 40h: the highest that firmware gives for this unit */
    uint8_t flags;         /* as in the table */
    uint64_t efr;          /* copy of the extended feature register; 0 for type 10h */
    uint16_t device_first; /* run of acpi_ivrs.devices */
    uint16_t device_count;
};

/* Memory that the devices go on using by DMA. */
struct acpi_ivmd {
    uint64_t size; /* bytes, > 0 */
    hpa_t base;
    uint16_t segment;
    uint16_t first; /* requester ids 'first'..'last' */
    uint16_t last;
    bool exclusion; /* exempt from translation; else map one to one */
    bool readable;
    bool writable;
};

struct acpi_ivrs {
    bool present;
    bool complete;             /* no unit, device or memory range was left out: may be relied on */
    bool dma_remap_guaranteed; /* IVinfo bit 1: firmware had DMA protection on before the OS */
    uint8_t physical_width;    /* bits of physical addresses, 0: not given */
    uint8_t virtual_width;     /* bits of virtual addresses, 0: not given */
    uint32_t ivhd_count;
    uint32_t device_count;
    uint32_t ivmd_count;
    struct acpi_ivhd ivhds[ACPI_IVHDS_MAX];
    struct acpi_ivhd_device devices[ACPI_IVHD_DEVICES_MAX];
    struct acpi_ivmd ivmds[ACPI_IVMDS_MAX];
};

/*
 * Read the table TABLE (with its header) into *IVRS, which is overwritten. Blocks and entries that
 * make no sense are left out with a warning. INVALID, with '*ivrs' empty, when the table is too
 * short for its fixed part. Pure: no hardware, any CPU.
 */
enum status ivrs_parse(struct acpi_window table, struct acpi_ivrs *ivrs);

#endif
