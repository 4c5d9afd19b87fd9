/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power management function's I/O block (82371AB, 7.2): ACPI PM timer, PM1 fixed events and
 * control, and the APM ports B2h and B3h that hand over between BIOS and ACPI. ACPI 6.5, 4.8.
 * Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_ACPI_PM_H
#define PORTOLAN_VMM_PC_ACPI_PM_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define ACPI_PM_BASE    0x600U /* where the block lies until the guest moves it */
#define ACPI_PM_SIZE    0x40U
#define ACPI_PM_STATUS  0x00U
#define ACPI_PM_CONTROL 0x04U
#define ACPI_PM_TIMER   0x08U

#define ACPI_PM_PORT_APM 0xb2U
#define ACPI_PM_ENABLE   0xf1U /* written to the APM port: enter ACPI mode */
#define ACPI_PM_DISABLE  0xf0U

#define ACPI_PM_SCI_IRQ 9U

struct acpi_pm_state {
    uint64_t last; /* PM timer tick up to which carries were seen */
    uint16_t status;
    uint16_t enable;
    uint16_t control;
    uint32_t global_control; /* offset 28h: stored */
    uint8_t apm[2];
};

struct acpi_pm {
    struct acpi_pm_state state;
    uint64_t next_event;     /* derived: virtual ns */
    uint32_t ignored_sleeps; /* counted: requests for a sleep state that does not exist */
};

extern const struct section acpi_pm_section; /* struct acpi_pm_state */

enum acpi_pm_request { ACPI_PM_NOTHING, ACPI_PM_POWER_OFF };

/* Reset state, in ACPI mode, as firmware hands it over. */
void acpi_pm_reset(struct acpi_pm *pm, uint64_t now);

/* OFFSET < ACPI_PM_SIZE; WIDTH 1, 2 or 4, not crossing a multiple of 4. */
uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned width, uint64_t now);
enum acpi_pm_request acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned width,
                                   uint32_t value, uint64_t now);

/* Ports B2h and B3h. */
uint8_t acpi_pm_apm_read(const struct acpi_pm *pm, uint16_t port);
void acpi_pm_apm_write(struct acpi_pm *pm, uint16_t port, uint8_t value);

/* Someone pressed the power button: the guest may shut down. */
void acpi_pm_power_button(struct acpi_pm *pm);

void acpi_pm_run(struct acpi_pm *pm, uint64_t now);

/* Find again what follows from the state. */
void acpi_pm_derive(struct acpi_pm *pm);

/* The level of the SCI. */
bool acpi_pm_irq(const struct acpi_pm *pm);

#endif
