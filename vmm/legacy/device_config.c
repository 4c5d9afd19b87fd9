/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device configuration. A guest accesses it as it likes: Linux by bytes, FreeBSD by 4, 2 and 1
 * bytes across fields, others by fields. The VF gets each element whole.
 */
#include "vmm/legacy/legacy_internal.h"

/* The part of an access that lies in one element: bytes FIRST.. of it, COUNT of them. */
struct part {
    struct legacy_element element;
    unsigned first;
    unsigned count;
};

/* What of the LEFT bytes from OFFSET lies in one element. False: byte OFFSET is in none. */
static bool next_part(const struct legacy_function *f, unsigned offset, unsigned left,
                      struct part *part)
{
    unsigned available;

    if (!legacy_element_find(f->type, f->config_length, offset, &part->element)) {
        return false;
    }
    part->first = offset - part->element.offset;
    available = part->element.width - part->first;
    part->count = left < available ? left : available;
    return true;
}

uint32_t legacy_device_config_read(struct legacy_function *f, unsigned offset, unsigned width)
{
    uint32_t value = all_ones(width);
    struct part part;

    for (unsigned done = 0; done < width; done += part.count) {
        unsigned shift = 8 * done & 31U;
        uint32_t bits;
        uint32_t mask;

        if (!next_part(f, offset + done, width - done, &part)) {
            part.count = 1; /* stays FFh */
            continue;
        }
        bits =
            legacy_transport_read(f, LEGACY_AREA_CONFIG, part.element.offset, part.element.width);
        mask = all_ones(part.count) << shift;
        value = (value & ~mask) | (bits >> 8 * part.first << shift & mask);
    }
    return value;
}

/* A part of an element changes as a whole: the other bytes are written as they are. */
static void write_part(struct legacy_function *f, const struct part *part, uint32_t bits)
{
    const struct legacy_element *element = &part->element;
    uint32_t mask = all_ones(part->count) << 8 * part->first;
    uint32_t value = bits << 8 * part->first;

    if (part->count < element->width) {
        uint32_t old =
            legacy_transport_read(f, LEGACY_AREA_CONFIG, element->offset, element->width);

        value = (old & ~mask) | (value & mask);
    }
    for (unsigned i = 0; i < element->width; i++) {
        f->state.device_config[element->offset + i] = (uint8_t)(value >> 8 * i);
        f->state.device_written[element->offset + i] = 1;
    }
    legacy_transport_write(f, LEGACY_AREA_CONFIG, element->offset, element->width,
                           value & all_ones(element->width));
}

void legacy_device_config_write(struct legacy_function *f, unsigned offset, unsigned width,
                                uint32_t value)
{
    struct part part;

    for (unsigned done = 0; done < width; done += part.count) {
        if (!next_part(f, offset + done, width - done, &part)) {
            part.count = 1; /* nobody has this byte */
            continue;
        }
        write_part(f, &part, value >> (8 * done & 31U));
    }
}
