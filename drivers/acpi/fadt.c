/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/fadt.h"

#include "drivers/acpi/complain.h"

enum {
    TABLE_REVISION = 8,
    FADT_DSDT = 40,
    FADT_SCI = 46,
    FADT_SMI_COMMAND = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_CENTURY = 108,
    FADT_BOOT_FLAGS = 109,
    FADT_FLAGS = 112,
    FADT_SIZE_1 = 116, /* ACPI 1.0's length */
    FADT_RESET = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FADT_X_PM_TIMER = 208,
    FADT_SLEEP_CONTROL = 244,
    GAS_SIZE = 12
};

#define FLAG_TIMER_32BIT      (1U << 8)
#define FLAG_RESET            (1U << 10)
#define FLAG_HARDWARE_REDUCED (1U << 20)
#define BOOT_FLAG_8042        (1U << 1)

static bool register_sound(const struct acpi_register *reg, bool pci_allowed)
{
    switch (reg->space) {
    case ACPI_SPACE_MEMORY:
        return range_fits(reg->address, reg->width, 1ULL << 52);
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
static struct acpi_register register_read(struct acpi_window table, uint32_t offset, uint8_t width,
                                          const char *name, struct acpi_complaints *complaints)
{
    struct acpi_register reg = {.space = window_u8(table, offset),
                                .width = width,
                                .address = window_u64(table, offset + 4)};

    if (!window_has(table, offset, GAS_SIZE) || reg.address == 0) {
        return (struct acpi_register){0};
    }
    if (!register_sound(&reg, offset == FADT_RESET)) {
        acpi_complain(complaints, "%s: no register can be at %#llx of address space %u; not used",
                      name, (unsigned long long)reg.address, reg.space);
        return (struct acpi_register){0};
    }
    return reg;
}

/* A register that has a 32-bit port field and, since ACPI 2.0, an extended one that goes before. */
static struct acpi_register register_read_both(struct acpi_window table, uint32_t extended,
                                               uint32_t old, uint8_t width, const char *name,
                                               struct acpi_complaints *complaints)
{
    struct acpi_register reg = register_read(table, extended, width, name, complaints);
    uint32_t port = window_u32(table, old);

    if (reg.address != 0 || port == 0) {
        return reg;
    }
    reg = (struct acpi_register){.space = ACPI_SPACE_IO, .width = width, .address = port};
    if (!register_sound(&reg, false)) {
        acpi_complain(complaints, "%s: port %#x does not exist; not used", name, port);
        return (struct acpi_register){0};
    }
    return reg;
}

static void read_fixed_hardware(struct acpi_window table, struct acpi_fadt *fadt,
                                struct acpi_complaints *complaints)
{
    uint32_t smi_command = window_u32(table, FADT_SMI_COMMAND);

    if (smi_command > 0xffff) {
        acpi_complain(complaints, "SMI command port %#x does not exist; not used", smi_command);
        smi_command = 0;
    }
    fadt->sci = window_u16(table, FADT_SCI);
    fadt->smi_command = (uint16_t)smi_command;
    fadt->acpi_enable = window_u8(table, FADT_ACPI_ENABLE);
    fadt->pm1a_control = register_read_both(table, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL, 2,
                                            "PM1a control", complaints);
    fadt->pm1b_control = register_read_both(table, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL, 2,
                                            "PM1b control", complaints);
    fadt->pm_timer =
        register_read_both(table, FADT_X_PM_TIMER, FADT_PM_TIMER, 4, "PM timer", complaints);
}

enum status fadt_parse(struct acpi_window table, struct acpi_fadt *fadt)
{
    struct acpi_complaints complaints = {"FADT", 0};
    uint32_t flags = window_u32(table, FADT_FLAGS);
    uint64_t x_dsdt = window_u64(table, FADT_X_DSDT);

    *fadt = (struct acpi_fadt){0};
    if (table.size < FADT_SIZE_1) {
        acpi_complain(&complaints, "table of %u bytes, needs at least %u", table.size,
                      (unsigned)FADT_SIZE_1);
        return STATUS_NOTE(STATUS_INVALID);
    }
    fadt->present = true;
    fadt->pm_timer_32bit = (flags & FLAG_TIMER_32BIT) != 0;
    fadt->hardware_reduced = (flags & FLAG_HARDWARE_REDUCED) != 0;
    fadt->century = window_u8(table, FADT_CENTURY);
    fadt->has_8042 = window_u8(table, TABLE_REVISION) < 2 ||
                     (window_u16(table, FADT_BOOT_FLAGS) & BOOT_FLAG_8042) != 0;
    fadt->dsdt = hpa(x_dsdt != 0 ? x_dsdt : window_u32(table, FADT_DSDT));
    if (fadt->hardware_reduced) {
        fadt->sleep_control =
            register_read(table, FADT_SLEEP_CONTROL, 1, "sleep control", &complaints);
    } else {
        read_fixed_hardware(table, fadt, &complaints);
    }
    if ((flags & FLAG_RESET) != 0) {
        fadt->reset = register_read(table, FADT_RESET, 1, "reset register", &complaints);
        fadt->reset_value = window_u8(table, FADT_RESET_VALUE);
    }
    acpi_complaints_close(&complaints);
    return STATUS_OK;
}
