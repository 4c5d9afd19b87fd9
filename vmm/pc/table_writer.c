/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/table_writer.h"

#include "vmm/base/little_endian.h"

#include <string.h>

uint32_t table_reserve(struct table_writer *w, uint32_t length, uint32_t align)
{
    uint64_t offset = align_up(w->used, align);

    if (!range_fits(offset, length, w->size)) {
        w->overflow = true;
        return 0;
    }
    memset(w->image + offset, 0, length);
    w->used = (uint32_t)offset + length;
    return (uint32_t)offset;
}

void table_put_bytes(struct table_writer *w, uint32_t offset, const void *bytes, uint32_t length)
{
    if (range_fits(offset, length, w->size)) {
        memcpy(w->image + offset, bytes, length);
    } else {
        w->overflow = true;
    }
}

void table_put(struct table_writer *w, uint32_t offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    bytes_put(bytes, size, value);
    table_put_bytes(w, offset, bytes, size);
}

void table_put_fields(struct table_writer *w, uint32_t offset, const struct table_field *fields,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        table_put(w, offset + fields[i].offset, fields[i].size, fields[i].value);
    }
}

void table_checksum(struct table_writer *w, uint32_t offset, uint32_t length, uint32_t at)
{
    uint8_t sum = 0;

    if (!range_fits(offset, length, w->size)) {
        w->overflow = true;
        return;
    }
    table_put(w, at, 1, 0);
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + w->image[offset + i]);
    }
    table_put(w, at, 1, (uint8_t)-sum);
}
