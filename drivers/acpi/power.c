/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"
#include "vmm/host/port_io.h"
#include "vmm/host/time.h"

#define PM1_SCI_ENABLE   0x0001U /* set: the machine is in ACPI mode */
#define PM1_SLEEP_SHIFT  10
#define PM1_SLEEP_MASK   (7U << PM1_SLEEP_SHIFT)
#define PM1_SLEEP_ENABLE (1U << 13)

#define SLEEP_CONTROL_SHIFT  2
#define SLEEP_CONTROL_ENABLE (1U << 5)

#define PORT_PCI_ADDRESS 0xcf8U
#define PORT_PCI_DATA    0xcfcU
#define PORT_RESET       0xcf9U /* chipset's reset control, in every PC chipset since PIIX3 */
#define RESET_PREPARE    0x02U  /* hard reset ... */
#define RESET_HARD       0x06U  /* ... now */
#define PORT_8042        0x64U
#define RESET_8042       0xfeU /* pulse the CPU's reset line */

#define WAIT_STEP_US  1000U
#define WAIT_STEPS    1000U
#define RESET_WAIT_US 100000U

/* A register is in memory, at MAPPED, or else a port: fadt_parse() lets nothing else through here.
 */
static uint32_t register_get(const struct acpi_register *reg, void *mapped)
{
    if (mapped == NULL) {
        return port_read((uint16_t)reg->address, reg->width);
    }
    return mmio_read(mapped, reg->width);
}

static void register_put(const struct acpi_register *reg, void *mapped, uint32_t value)
{
    if (mapped == NULL) {
        port_write((uint16_t)reg->address, reg->width, value);
    } else {
        mmio_write(mapped, reg->width, value);
    }
}

/* Make REG reachable. False when it does not exist or cannot be mapped. */
static bool register_map(const struct acpi_register *reg, void **mapped)
{
    *mapped = NULL;
    if (reg->address == 0) {
        return false;
    }
    if (reg->space == ACPI_SPACE_MEMORY) {
        *mapped = map_physical(hpa(reg->address), reg->width, MAP_DEVICE);
        return *mapped != NULL;
    }
    return true;
}

static void register_unmap(const struct acpi_register *reg, void *mapped)
{
    if (mapped != NULL) {
        map_release(mapped, reg->width);
    }
}

/* Leave legacy mode, in which SLP_EN belongs to firmware. Goes on after a second in any case. */
static void acpi_mode_enter(const struct acpi_fadt *fadt, void *pm1a)
{
    if (fadt->smi_command == 0 || fadt->acpi_enable == 0) {
        return;
    }
    for (unsigned i = 0; i < WAIT_STEPS; i++) {
        if ((register_get(&fadt->pm1a_control, pm1a) & PM1_SCI_ENABLE) != 0) {
            return;
        }
        if (i == 0) {
            port_write(fadt->smi_command, 1, fadt->acpi_enable);
        }
        time_delay_us(WAIT_STEP_US);
    }
}

static void pm1_sleep(const struct acpi_register *reg, void *mapped, uint8_t type)
{
    uint32_t value = register_get(reg, mapped) & ~(PM1_SLEEP_MASK | PM1_SLEEP_ENABLE);

    value |= (uint32_t)type << PM1_SLEEP_SHIFT;
    register_put(reg, mapped, value);
    register_put(reg, mapped, value | PM1_SLEEP_ENABLE);
}

enum status acpi_power_off(const struct acpi_facts *facts)
{
    const struct acpi_fadt *fadt = &facts->fadt;
    void *pm1a;
    void *pm1b;
    void *control;

    if (!facts->s5.present) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (register_map(&fadt->sleep_control, &control)) {
        register_put(&fadt->sleep_control, control,
                     (uint32_t)facts->s5.type_a << SLEEP_CONTROL_SHIFT | SLEEP_CONTROL_ENABLE);
        register_unmap(&fadt->sleep_control, control);
    } else if (register_map(&fadt->pm1a_control, &pm1a)) {
        acpi_mode_enter(fadt, pm1a);
        pm1_sleep(&fadt->pm1a_control, pm1a, facts->s5.type_a);
        register_unmap(&fadt->pm1a_control, pm1a);
        if (register_map(&fadt->pm1b_control, &pm1b)) {
            pm1_sleep(&fadt->pm1b_control, pm1b, facts->s5.type_b);
            register_unmap(&fadt->pm1b_control, pm1b);
        }
    } else {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    time_delay_us((uint64_t)WAIT_STEPS * WAIT_STEP_US);
    return STATUS_NOTE(STATUS_TIMEOUT);
}

/* Write a byte to the configuration space of bus 0, as the reset register of some machines wants.
 */
static void pci_config_reset(uint64_t address, uint8_t value)
{
    uint32_t device = (uint32_t)(address >> 32) & 0x1fU;
    uint32_t function = (uint32_t)(address >> 16) & 0x7U;
    uint32_t offset = (uint32_t)address & 0xffU;

    port_write(PORT_PCI_ADDRESS, 4, 1U << 31 | device << 11 | function << 8 | (offset & ~3U));
    port_write((uint16_t)(PORT_PCI_DATA + (offset & 3U)), 1, value);
}

static void register_reset(const struct acpi_fadt *fadt)
{
    void *mapped;

    if (fadt->reset.address == 0) {
        return;
    }
    if (fadt->reset.space == ACPI_SPACE_PCI_CONFIG) {
        pci_config_reset(fadt->reset.address, fadt->reset_value);
    } else if (register_map(&fadt->reset, &mapped)) {
        register_put(&fadt->reset, mapped, fadt->reset_value);
        register_unmap(&fadt->reset, mapped);
    }
    time_delay_us(RESET_WAIT_US);
}

enum status acpi_reset(const struct acpi_facts *facts)
{
    register_reset(&facts->fadt);
    port_write(PORT_RESET, 1, RESET_PREPARE);
    port_write(PORT_RESET, 1, RESET_HARD);
    time_delay_us(RESET_WAIT_US);
    port_write(PORT_8042, 1, RESET_8042);
    time_delay_us(RESET_WAIT_US);
    return STATUS_NOTE(STATUS_TIMEOUT);
}
