/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/spcr.h"

#include "drivers/acpi/complain.h"

enum {
    TABLE_REVISION = 8,
    SPCR_INTERFACE = 36,
    SPCR_SPACE = 40,
    SPCR_BIT_WIDTH = 41,
    SPCR_ACCESS = 43,
    SPCR_ADDRESS = 44,
    SPCR_BAUD = 58,
    SPCR_SIZE = 80
};

enum { UART_16550 = 0, UART_16450 = 1, UART_16550_GAS = 0x12 };

/* Baud rates by their code in the table; 0: as it is. */
static const uint32_t baud_rates[] = {[3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200};

/* Bytes of one register access: by the access size, or, where that is not given, the width. */
static uint8_t access_width(struct acpi_window table)
{
    uint8_t access = window_u8(table, SPCR_ACCESS);
    uint8_t bits = window_u8(table, SPCR_BIT_WIDTH);

    if (access >= 1 && access <= 3) {
        return (uint8_t)(1U << (access - 1));
    }
    return bits == 16 || bits == 32 ? bits / 8 : 1;
}

enum status spcr_parse(struct acpi_window table, struct acpi_spcr *spcr)
{
    struct acpi_complaints complaints = {"SPCR", 0};
    uint8_t interface = window_u8(table, SPCR_INTERFACE);
    uint8_t baud = window_u8(table, SPCR_BAUD);
    struct acpi_register base = {.space = window_u8(table, SPCR_SPACE),
                                 .width = access_width(table),
                                 .address = window_u64(table, SPCR_ADDRESS)};

    *spcr = (struct acpi_spcr){0};
    if (table.size < SPCR_SIZE) {
        acpi_complain(&complaints, "table of %u bytes, needs at least %u", table.size,
                      (unsigned)SPCR_SIZE);
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (base.address == 0) {
        return STATUS_NOT_FOUND; /* the table's way to say that redirection is off */
    }
    if (interface != UART_16550 && interface != UART_16450 && interface != UART_16550_GAS) {
        acpi_complain(&complaints, "serial port of type %u is no 16550; not used", interface);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (base.space > ACPI_SPACE_IO ||
        !range_fits(base.address, 8ULL * base.width,
                    base.space == ACPI_SPACE_IO ? 0x10000 : 1ULL << 52)) {
        acpi_complain(&complaints, "no serial port can be at %#llx of address space %u; not used",
                      (unsigned long long)base.address, base.space);
        return STATUS_NOTE(STATUS_INVALID);
    }
    *spcr = (struct acpi_spcr){.present = true, .base = base};
    spcr->baud = baud < ARRAY_SIZE(baud_rates) ? baud_rates[baud] : 0;
    return STATUS_OK;
}
