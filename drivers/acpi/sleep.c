/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * _S5_ is a named package of constants in every DSDT, so its encoding can be searched for
 * (ACPI 6.5, section 20.2): NameOp [RootChar] '_' 'S' '5' '_' PackageOp PkgLength NumElements
 * element... What merely looks like it is rejected by checking each of these.
 */
#include "drivers/acpi/acpi_parse.h"

enum aml {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_WORD = 0x0b,
    AML_DWORD = 0x0c,
    AML_PACKAGE = 0x12,
    AML_ROOT = 0x5c
};

#define NAME_S5   0x5f35535fU /* "_S5_", little-endian */
#define SLEEP_MAX 7U          /* SLP_TYP has three bits */

/* Read the constant at *OFFSET and step over it; false when it is none. */
static bool read_constant(struct acpi_window aml, uint32_t *offset, uint64_t *value)
{
    uint8_t op = window_u8(aml, *offset);
    uint32_t width;

    if (!window_has(aml, *offset, 1)) {
        return false;
    }
    switch (op) {
    case AML_ZERO:
    case AML_ONE:
        *value = op;
        *offset += 1;
        return true;
    case AML_BYTE:
        width = 1;
        break;
    case AML_WORD:
        width = 2;
        break;
    case AML_DWORD:
        width = 4;
        break;
    default:
        return false;
    }
    if (!window_has(aml, *offset + 1, width)) {
        return false;
    }
    *value = window_read(aml, *offset + 1, width);
    *offset += 1 + width;
    return true;
}

/* The package's contents after its PkgLength at OFFSET; empty when the length is nonsense. */
static struct acpi_window package_body(struct acpi_window aml, uint32_t offset)
{
    uint8_t lead = window_u8(aml, offset);
    uint32_t more = lead >> 6;
    uint32_t length = more == 0 ? lead & 0x3fU : lead & 0x0fU;

    for (uint32_t i = 0; i < more; i++) {
        length |= (uint32_t)window_u8(aml, offset + 1 + i) << (4 + 8 * i);
    }
    if (length < 1 + more || !window_has(aml, offset, length)) {
        return (struct acpi_window){aml.bytes, 0};
    }
    return window_part(aml, offset + 1 + more, length - 1 - more);
}

/* Is there a definition of _S5_ whose four letters are at NAME? */
static bool read_s5(struct acpi_window aml, uint32_t name, struct acpi_s5 *s5)
{
    struct acpi_window body;
    uint64_t type_a = 0;
    uint64_t type_b = 0;
    uint32_t offset = 1;
    bool named = window_u8(aml, name - 1) == AML_NAME ||
                 (window_u8(aml, name - 1) == AML_ROOT && window_u8(aml, name - 2) == AML_NAME);

    if (!named || window_u8(aml, name + 4) != AML_PACKAGE) {
        return false;
    }
    body = package_body(aml, name + 5);
    if (window_u8(body, 0) < 2 || !read_constant(body, &offset, &type_a) ||
        !read_constant(body, &offset, &type_b) || type_a > SLEEP_MAX || type_b > SLEEP_MAX) {
        return false;
    }
    *s5 = (struct acpi_s5){.present = true, .type_a = (uint8_t)type_a, .type_b = (uint8_t)type_b};
    return true;
}

enum status sleep_find_s5(struct acpi_window aml, struct acpi_s5 *s5)
{
    for (uint32_t name = ACPI_HEADER_SIZE + 1; window_has(aml, name, 4); name++) {
        if (window_u32(aml, name) == NAME_S5 && read_s5(aml, name, s5)) {
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}
