/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/state/state.h"

#include <string.h>

uint32_t state_checksum(const uint8_t *bytes, size_t size)
{
    /* Four bits at a time; the polynomial is 1EDC6F41h, reflected. */
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t crc = 0xffffffffU;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15U];
        crc = crc >> 4 ^ table[crc & 15U];
    }
    return ~crc;
}

uint64_t state_element(const struct field *field, const void *state, uint32_t index)
{
    const uint8_t *at = (const uint8_t *)state + field->offset + (size_t)field->stride * index;

    return state_number(at, field->width);
}

void state_writer_init(struct state_writer *w, void *buffer, size_t size)
{
    *w = (struct state_writer){.buffer = buffer, .size = size};
}

static void put(struct state_writer *w, const void *bytes, size_t size)
{
    if (w->used <= w->size && size <= w->size - w->used) {
        memcpy(w->buffer + w->used, bytes, size);
    }
    w->used += size;
}

static void put_number(struct state_writer *w, uint64_t value, unsigned width)
{
    put(w, &value, width);
}

static void put_field(struct state_writer *w, const struct field *field, const void *state)
{
    size_t length = strlen(field->name);

    put_number(w, length, 1);
    put_number(w, field->width, 1);
    put_number(w, field->optional ? STATE_OPTIONAL : 0, 2);
    put_number(w, field->count, 4);
    put(w, field->name, length);
    if (state_is_dense(field)) { /* our CPUs are little-endian, as the stream is */
        put(w, (const uint8_t *)state + field->offset, (size_t)field->count * field->width);
        return;
    }
    for (uint32_t i = 0; i < field->count; i++) {
        put_number(w, state_element(field, state, i), field->width);
    }
}

static size_t record_size(const struct section *section)
{
    size_t size = STATE_RECORD_HEADER + STATE_CHECKSUM;

    for (uint32_t i = 0; i < section->fields; i++) {
        const struct field *field = &section->field[i];

        size += STATE_FIELD_HEADER + strlen(field->name) + (size_t)field->count * field->width;
    }
    return size;
}

void state_put_section(struct state_writer *w, const struct section *section, uint32_t instance,
                       const void *state)
{
    char name[STATE_SECTION_NAME_SIZE] = {0};
    size_t start = w->used;
    uint32_t checksum = 0;

    strncpy(name, section->name, sizeof(name) - 1);
    put_number(w, STATE_MAGIC, 4);
    put_number(w, record_size(section), 4);
    put_number(w, section->version, 2);
    put_number(w, section->optional ? STATE_OPTIONAL : 0, 2);
    put_number(w, instance, 4);
    put_number(w, section->fields, 4);
    put(w, name, sizeof(name));
    for (uint32_t i = 0; i < section->fields; i++) {
        put_field(w, &section->field[i], state);
    }
    if (!state_overflowed(w)) {
        checksum = state_checksum(w->buffer + start, w->used - start);
    }
    put_number(w, checksum, STATE_CHECKSUM);
}

void state_put_all(struct state_writer *w, const struct section_place *place, unsigned count,
                   uint32_t vcpus, const void *owner)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t instances = place[i].instances != 0 ? place[i].instances : vcpus;

        for (uint32_t n = 0; n < instances; n++) {
            state_put_section(w, place[i].section, n,
                              (const uint8_t *)owner + place[i].offset +
                                  (size_t)place[i].stride * n);
        }
    }
}
