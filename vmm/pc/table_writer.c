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

/* ---- Commands of QEMU's table loader: hw/acpi/bios-linker-loader ---- */

#define COMMAND_SIZE     128U
#define COMMAND_NAME     56U /* bytes of a file's name */
#define COMMAND_ALLOCATE 1U
#define COMMAND_POINTER  2U
#define COMMAND_CHECKSUM 3U
#define ZONE_HIGH        1U
#define ZONE_LOW         2U /* the segment at F0000h */
#define REST_ALIGNMENT   64U
#define ROOT_ALIGNMENT   16U

static const char *file_of(const struct table_writer *w, uint32_t *offset)
{
    if (*offset < w->split) {
        return TABLE_FILE_ROOT;
    }
    *offset -= w->split;
    return TABLE_FILE_REST;
}

/* A new command for FILE; returns where what follows the file's name begins. */
static uint32_t add_command(struct table_writer *loader, uint32_t command, const char *file)
{
    uint32_t at = table_reserve(loader, COMMAND_SIZE, 1);

    table_put(loader, at, 4, command);
    table_put_bytes(loader, at + 4, file, (uint32_t)strlen(file));
    return at + 4 + COMMAND_NAME;
}

static void add_allocation(struct table_writer *loader, const char *file, uint32_t align,
                           unsigned zone)
{
    uint32_t at = add_command(loader, COMMAND_ALLOCATE, file);

    table_put(loader, at, 4, align);
    table_put(loader, at + 4, 1, zone);
}

void table_split(struct table_writer *w, struct table_writer *loader)
{
    w->split = w->used = (uint32_t)align_up(w->used, REST_ALIGNMENT);
    w->base = 0U - w->split;
    w->loader = loader;
    add_allocation(loader, TABLE_FILE_ROOT, ROOT_ALIGNMENT, ZONE_LOW);
    add_allocation(loader, TABLE_FILE_REST, REST_ALIGNMENT, ZONE_HIGH);
}

void table_put_pointer(struct table_writer *w, uint32_t offset, unsigned size, uint32_t target)
{
    table_put(w, offset, size, w->base + target);
    if (w->loader) {
        const char *file = file_of(w, &offset);
        uint32_t at = add_command(w->loader, COMMAND_POINTER, file);

        table_put_bytes(w->loader, at, TABLE_FILE_REST, sizeof(TABLE_FILE_REST) - 1);
        table_put(w->loader, at + COMMAND_NAME, 4, offset);
        table_put(w->loader, at + COMMAND_NAME + 4, 1, size);
    }
}

static void add_checksum(const struct table_writer *w, uint32_t offset, uint32_t length,
                         uint32_t at)
{
    uint32_t start = offset, byte = at;
    const char *file = file_of(w, &start);

    (void)file_of(w, &byte);
    uint32_t to = add_command(w->loader, COMMAND_CHECKSUM, file);

    table_put(w->loader, to, 4, byte);
    table_put(w->loader, to + 4, 4, start);
    table_put(w->loader, to + 8, 4, length);
}

void table_checksum(struct table_writer *w, uint32_t offset, uint32_t length, uint32_t at)
{
    uint8_t sum = 0;

    if (!range_fits(offset, length, w->size)) {
        w->overflow = true;
        return;
    }
    table_put(w, at, 1, 0);
    if (w->loader) { /* it counts what stands there: SeaBIOS takes it off again, OVMF does not */
        add_checksum(w, offset, length, at);
        return;
    }
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + w->image[offset + i]);
    }
    table_put(w, at, 1, (uint8_t)-sum);
}
