/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

enum {
    FADT_DSDT = 40,
    FADT_SMI_COMMAND = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_FLAGS = 112,
    FADT_RESET = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FADT_X_PM_TIMER = 208,
    FADT_SLEEP_CONTROL = 244,
    GAS_SIZE = 12
};

#define FLAG_RESET            (1U << 10)
#define FLAG_HARDWARE_REDUCED (1U << 20)

static bool register_sound(const struct acpi_register *reg, bool pci_allowed)
{
    switch (reg->space) {
    case ACPI_SPACE_MEMORY:
        return range_fits(reg->address, reg->width, ACPI_PHYSICAL_LIMIT);
    case ACPI_SPACE_IO:
        return range_fits(reg->address, reg->width, 0x10000);
    case ACPI_SPACE_PCI_CONFIG: /* bus 0 only; device << 32, function << 16, offset */
        return pci_allowed && reg->address >> 32 < 32 && (reg->address >> 16 & 0xffffU) < 8 &&
               (reg->address & 0xffffU) < 256;
    default:
        return false;
    }
}

/* The Generic Address Structure at OFFSET, for accesses of WIDTH bytes; empty when it is unusable.
 */
static struct acpi_register register_read(struct acpi_parse *parse, uint32_t offset, uint8_t width,
                                          const char *name)
{
    struct acpi_window table = parse->table;
    struct acpi_register reg = {.space = window_u8(table, offset),
                                .width = width,
                                .address = window_u64(table, offset + 4)};

    if (!window_has(table, offset, GAS_SIZE) || reg.address == 0) {
        return (struct acpi_register){0};
    }
    if (!register_sound(&reg, offset == FADT_RESET)) {
        acpi_complain(parse, "%s: no register can be at %#llx of address space %u; not used", name,
                      (unsigned long long)reg.address, reg.space);
        return (struct acpi_register){0};
    }
    return reg;
}

/* A register that has a 32-bit port field and, since ACPI 2.0, an extended one that goes before. */
static struct acpi_register register_read_both(struct acpi_parse *parse, uint32_t extended,
                                               uint32_t old, uint8_t width, const char *name)
{
    struct acpi_register reg = register_read(parse, extended, width, name);
    uint32_t port = window_u32(parse->table, old);

    if (reg.address != 0 || port == 0) {
        return reg;
    }
    reg = (struct acpi_register){.space = ACPI_SPACE_IO, .width = width, .address = port};
    if (!register_sound(&reg, false)) {
        acpi_complain(parse, "%s: port %#x does not exist; not used", name, port);
        return (struct acpi_register){0};
    }
    return reg;
}

static void read_fixed_hardware(struct acpi_parse *parse, struct acpi_fadt *fadt)
{
    uint32_t smi_command = window_u32(parse->table, FADT_SMI_COMMAND);

    if (smi_command > 0xffff) {
        acpi_complain(parse, "SMI command port %#x does not exist; not used", smi_command);
        smi_command = 0;
    }
    fadt->smi_command = (uint16_t)smi_command;
    fadt->acpi_enable = window_u8(parse->table, FADT_ACPI_ENABLE);
    fadt->pm1a_control =
        register_read_both(parse, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL, 2, "PM1a control");
    fadt->pm1b_control =
        register_read_both(parse, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL, 2, "PM1b control");
    fadt->pm_timer = register_read_both(parse, FADT_X_PM_TIMER, FADT_PM_TIMER, 4, "PM timer");
}

void fadt_parse(struct acpi_parse *parse)
{
    struct acpi_fadt *fadt = &parse->facts->fadt;
    uint32_t flags = window_u32(parse->table, FADT_FLAGS);
    uint64_t x_dsdt = window_u64(parse->table, FADT_X_DSDT);

    *fadt = (struct acpi_fadt){
        .present = true, .dsdt = hpa(x_dsdt != 0 ? x_dsdt : window_u32(parse->table, FADT_DSDT))};
    if ((flags & FLAG_HARDWARE_REDUCED) != 0) {
        fadt->sleep_control = register_read(parse, FADT_SLEEP_CONTROL, 1, "sleep control");
    } else {
        read_fixed_hardware(parse, fadt);
    }
    if ((flags & FLAG_RESET) != 0) {
        fadt->reset = register_read(parse, FADT_RESET, 1, "reset register");
        fadt->reset_value = window_u8(parse->table, FADT_RESET_VALUE);
    }
}
