/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's Fixed ACPI Description Table: power management registers. ACPI 6.5, section 5.2.9.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_FADT_H
#define PORTOLAN_DRIVERS_ACPI_FADT_H

#include "drivers/acpi/table_window.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI_CONFIG = 2 };

/* A register: ACPI's Generic Address Structure, checked. 'address' 0: there is no such register. */
struct acpi_register {
    uint64_t address; /* a port below 0x10000, or host-physical, or PCI dev:fn:offset on bus 0 */
    uint8_t space;    /* enum acpi_space */
    uint8_t width;    /* bytes of one access: 1, 2 or 4 */
};

struct acpi_fadt {
    bool present;
    bool hardware_reduced; /* no fixed hardware: PM timer and PM1 blocks are absent */
    bool pm_timer_32bit;   /* the timer counts 32 bits, else 24 */
    bool has_8042;         /* a keyboard controller is there; also true on tables before ACPI 2 */
    uint8_t century;       /* CMOS index of the century, 0: none */
    uint8_t acpi_enable;   /* value for smi_command that takes the machine out of legacy mode */
    uint8_t reset_value;   /* for 'reset' */
    uint16_t sci;          /* interrupt, in ISA or GSI numbering as the MADT says */
    uint16_t smi_command;  /* port, 0: always in ACPI mode */
    struct acpi_register pm_timer; /* 3.579545 MHz, read 4 bytes */
    struct acpi_register pm1a_control;
    struct acpi_register pm1b_control;
    struct acpi_register sleep_control; /* hardware-reduced machines only */
    struct acpi_register reset;         /* only if firmware says that it works */
    hpa_t dsdt;                         /* 0: none */
};

/*
 * Read the table TABLE (with its header) into *FADT, which is overwritten. Registers that make no
 * sense are left out with a warning. INVALID, with '*fadt' empty, when the table is shorter than
 * ACPI 1.0's. Pure: no hardware, any CPU.
 */
enum status fadt_parse(struct acpi_window table, struct acpi_fadt *fadt);

#endif
