/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/acpi/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put(struct blob *blob, uint64_t value, unsigned width)
{
    assert_true(blob->size + width <= sizeof(blob->bytes));
    for (unsigned i = 0; i < width; i++) {
        blob->bytes[blob->size++] = (uint8_t)(value >> (8 * i));
    }
}

void put8(struct blob *blob, uint8_t value)
{
    put(blob, value, 1);
}

void put16(struct blob *blob, uint16_t value)
{
    put(blob, value, 2);
}

void put32(struct blob *blob, uint32_t value)
{
    put(blob, value, 4);
}

void put64(struct blob *blob, uint64_t value)
{
    put(blob, value, 8);
}

void put_zeros(struct blob *blob, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put8(blob, 0);
    }
}

void table_begin(struct blob *blob, const char *signature, uint8_t revision)
{
    blob->size = 0;
    for (unsigned i = 0; i < 4; i++) {
        put8(blob, (uint8_t)signature[i]);
    }
    put32(blob, 0);
    put8(blob, revision);
    put_zeros(blob, 27);
}

void table_end(struct blob *blob)
{
    uint8_t sum = 0;

    set32(blob, 4, blob->size);
    blob->bytes[9] = 0;
    for (uint32_t i = 0; i < blob->size; i++) {
        sum = (uint8_t)(sum + blob->bytes[i]);
    }
    blob->bytes[9] = (uint8_t)-sum;
}

void set32(struct blob *blob, uint32_t offset, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        blob->bytes[offset + i] = (uint8_t)(value >> (8 * i));
    }
}

struct acpi_window blob_window(const struct blob *blob)
{
    return (struct acpi_window){blob->bytes, blob->size};
}

/* Parse a copy of exactly SIZE bytes: the sanitizer sees the first byte read beyond. */
static enum status parse_copy(const uint8_t *bytes, uint32_t size, parse_function parse)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    enum status status;

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    status = parse((struct acpi_window){copy, size});
    free(copy);
    return status;
}

void parse_battered(const struct blob *blob, uint32_t fixed, parse_function parse)
{
    static const uint8_t bad[] = {0, 1, 2, 255};
    static struct blob broken;

    for (uint32_t size = 0; size <= blob->size; size++) {
        assert_int_equal(parse_copy(blob->bytes, size, parse),
                         size < fixed ? STATUS_INVALID : STATUS_OK);
    }
    for (uint32_t offset = fixed; offset < blob->size; offset++) {
        for (unsigned i = 0; i < sizeof(bad); i++) {
            broken = *blob;
            broken.bytes[offset] = bad[i];
            assert_int_equal(parse_copy(broken.bytes, broken.size, parse), STATUS_OK);
        }
    }
}
