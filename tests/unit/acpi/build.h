/* SPDX-License-Identifier: BSD-2-Clause */
/* Hand-made ACPI tables, and what every parser has to stand. */
#ifndef PORTOLAN_TESTS_UNIT_ACPI_BUILD_H
#define PORTOLAN_TESTS_UNIT_ACPI_BUILD_H

#include "drivers/acpi/acpi_parse.h"

struct blob {
    uint32_t size;
    uint8_t bytes[65536];
};

/* Append numbers, little-endian. */
void put8(struct blob *blob, uint8_t value);
void put16(struct blob *blob, uint16_t value);
void put32(struct blob *blob, uint32_t value);
void put64(struct blob *blob, uint64_t value);
void put_zeros(struct blob *blob, uint32_t count);

/* Start a table over with a header of 36 bytes; finish it: length and checksum. */
void table_begin(struct blob *blob, const char *signature, uint8_t revision);
void table_end(struct blob *blob);

/* Write a number into a finished table, leaving the checksum as it was. */
void set32(struct blob *blob, uint32_t offset, uint32_t value);

/* A window on the whole blob. */
struct acpi_window blob_window(const struct blob *blob);

typedef enum status (*parse_function)(struct acpi_window table);

/*
 * Call PARSE on the table cut at every length, in a buffer that ends just there: each below FIXED
 * must be INVALID, all others be taken. Then with every byte after FIXED set to 0, 1, 2 and 255.
 */
void parse_battered(const struct blob *blob, uint32_t fixed, parse_function parse);

#endif
