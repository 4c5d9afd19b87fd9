/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BAR 0 as the guest sees it. What an access means depends on where it starts, and nothing else: as
 * in QEMU's device, whose ways drivers have come to rely on. A read that is wider than its register
 * is filled up with zeroes, one that is narrower is cut; a write likewise. Offsets inside a
 * register read all ones and ignore writes. So no wide read clears the ISR, and no wide write
 * notifies.
 *
 * The ISR is not here: it is synthetic and needs another lock (legacy_ports.c).
 */
#include "vmm/legacy/inflight.h"
#include "vmm/legacy/legacy_internal.h"

/* ---- Device configuration. A guest accesses it as it likes: Linux by bytes, FreeBSD by 4, 2 and 1
 * bytes across fields, others by fields. The VF gets each element whole. ---- */

/* The unit of access to the VF. */
struct element {
    uint8_t offset; /* from the start of device configuration */
    uint8_t width;
};

/* The element that holds byte OFFSET and lies within LENGTH bytes. False: there is none. */
static bool element_find(const struct legacy_type *type, unsigned length, unsigned offset,
                         struct element *element)
{
    for (unsigned i = 0; i < type->field_count; i++) {
        const struct legacy_field *field = &type->fields[i];
        unsigned end = field->offset + (unsigned)field->count * field->width;

        if (offset >= field->offset && offset < end) {
            unsigned within = (offset - field->offset) % field->width;

            *element =
                (struct element){.offset = (uint8_t)(offset - within), .width = field->width};
            return offset - within + field->width <= length;
        }
    }
    return false;
}

/* The part of an access that lies in one element: bytes FIRST.. of it, COUNT of them. */
struct part {
    struct element element;
    unsigned first;
    unsigned count;
};

/* What of the LEFT bytes from OFFSET lies in one element. False: byte OFFSET is in none. */
static bool next_part(const struct legacy_function *f, unsigned offset, unsigned left,
                      struct part *part)
{
    unsigned available;

    if (!element_find(f->type, f->config_length, offset, &part->element)) {
        return false;
    }
    part->first = offset - part->element.offset;
    available = part->element.width - part->first;
    part->count = left < available ? left : available;
    return true;
}

static uint32_t device_config_read(struct legacy_function *f, unsigned offset, unsigned width)
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
    const struct element *element = &part->element;
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

static void device_config_write(struct legacy_function *f, unsigned offset, unsigned width,
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

/* ---- The header ---- */

/* The queue that the guest selected, when the VF knows it as selected too. */
static bool select_valid(const struct legacy_function *f)
{
    return f->state.select < LEGACY_QUEUES_MAX;
}

static uint32_t read_queue_register(struct legacy_function *f, unsigned offset, unsigned size)
{
    return select_valid(f) ? legacy_transport_read(f, LEGACY_AREA_HEADER, offset, size) : 0;
}

/* The register that starts at OFFSET; all ones, and false, if none does. */
static bool read_header(struct legacy_function *f, unsigned offset, uint32_t *value)
{
    switch (offset) {
    case LEGACY_HOST_FEATURES:
    case LEGACY_GUEST_FEATURES:
        *value = legacy_transport_read(f, LEGACY_AREA_HEADER, offset, 4) & LEGACY_FEATURES;
        return true;
    case LEGACY_QUEUE_PFN:
        *value = read_queue_register(f, offset, 4);
        return true;
    case LEGACY_QUEUE_SIZE:
        *value = read_queue_register(f, offset, 2);
        return true;
    case LEGACY_QUEUE_SELECT:
        *value = f->state.select;
        return true;
    case LEGACY_QUEUE_NOTIFY:
        *value = 0; /* write only; nothing may happen in the VF when a guest dumps its registers */
        return true;
    case LEGACY_STATUS:
        *value = legacy_transport_read(f, LEGACY_AREA_HEADER, offset, 1);
        return true;
    case LEGACY_CONFIG_VECTOR:
        *value = legacy_transport_read(f, LEGACY_AREA_HEADER, offset, 2);
        return true;
    case LEGACY_QUEUE_VECTOR:
        *value = select_valid(f) ? legacy_transport_read(f, LEGACY_AREA_HEADER, offset, 2)
                                 : LEGACY_NO_VECTOR;
        return true;
    default:
        f->counters.ignored++;
        return false;
    }
}

static unsigned header_size(const struct legacy_function *f)
{
    return f->irq.msix ? LEGACY_HEADER_MSIX : LEGACY_HEADER_INTX;
}

uint32_t legacy_registers_read(struct legacy_function *f, unsigned offset, unsigned width)
{
    unsigned header = header_size(f);
    uint32_t value;

    if (offset >= header) {
        value = device_config_read(f, offset - header, width);
    } else if (!read_header(f, offset, &value)) {
        value = all_ones(4);
    }
    if (legacy_is_lost(f)) {
        value = all_ones(4);
    }
    return value & all_ones(width);
}

/* A device ignores what it does not offer, and so no VF has to offer it that is to take its place.
 */
static void write_features(struct legacy_function *f, uint32_t value)
{
    uint32_t offered = legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_HOST_FEATURES, 4);

    f->state.features = value & offered & LEGACY_FEATURES;
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_GUEST_FEATURES, 4, f->state.features);
}

static void write_select(struct legacy_function *f, uint16_t value)
{
    f->state.select = value;
    if (select_valid(f)) {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, value);
    }
}

/*
 * Some devices, QEMU's among them, take PFN 0 for a reset of the whole device. The status tells; or
 * the configuration vector, which the VMM has set even before a driver writes a status.
 */
static bool has_reset_itself(struct legacy_function *f)
{
    if (!f->irq.msix) {
        return legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_CONFIG_VECTOR, 2) ==
               LEGACY_NO_VECTOR;
    }
    return f->state.status != 0 &&
           legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1) == 0;
}

/*
 * A queue gets its ring, or loses it. None that is not in RAM: its VF could do nothing with it, and
 * another one, to which the VM is moved, may refuse a state with such a ring.
 */
static void write_pfn(struct legacy_function *f, uint32_t value)
{
    if (!select_valid(f) || (value != 0 && (!legacy_vectors_prepare_queue(f) ||
                                            !legacy_ring_is_ram(f, f->state.select, value)))) {
        f->counters.ignored++;
        return;
    }
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_PFN, 4, value);
    f->state.queue[f->state.select].pfn = value;
    legacy_inflight_restart(f, f->state.select);
    if (value != 0) {
        return;
    }
    if (has_reset_itself(f) && !legacy_is_lost(f)) {
        f->state.status = 0;
        legacy_vectors_restart(f);
    }
}

void legacy_notify_queue(struct legacy_function *f, uint16_t value)
{
    volatile uint16_t *doorbell = __atomic_load_n(&f->doorbell, __ATOMIC_RELAXED);

    legacy_inflight_look(f, value); /* before the device can have done any of it */
    if (doorbell != NULL) {
        mmio_write16(doorbell, value);
    } else {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_NOTIFY, 2, value);
    }
}

/*
 * Drivers before Linux 2.6.34 never set Bus Master in their Command register, and firmware that
 * polls need not: a driver that says it is there gets it all the same.
 */
static void write_status(struct legacy_function *f, uint8_t value)
{
    uint8_t status = value & LEGACY_STATUS_BITS;

    if (value == 0) {
        legacy_life_reset_device(f);
        return;
    }
    if (status == 0) { /* nothing but bits that do not exist: to the VF it would be a reset */
        f->counters.ignored++;
        return;
    }
    if ((status & LEGACY_STATUS_DRIVER) != 0) {
        legacy_life_set_bus_master(f, true);
    }
    f->state.status = status;
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1, status);
}

static void write_header(struct legacy_function *f, unsigned offset, uint32_t value)
{
    switch (offset) {
    case LEGACY_GUEST_FEATURES:
        write_features(f, value);
        break;
    case LEGACY_QUEUE_PFN:
        write_pfn(f, value);
        break;
    case LEGACY_QUEUE_SELECT:
        write_select(f, (uint16_t)value);
        break;
    case LEGACY_QUEUE_NOTIFY:
        legacy_notify_queue(f, (uint16_t)value);
        break;
    case LEGACY_STATUS:
        write_status(f, (uint8_t)value);
        break;
    case LEGACY_CONFIG_VECTOR:
        legacy_vectors_set_config(f, (uint16_t)value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (select_valid(f)) {
            legacy_vectors_set_queue(f, (uint16_t)value);
        }
        break;
    default:
        f->counters.ignored++;
        break;
    }
}

void legacy_registers_write(struct legacy_function *f, unsigned offset, unsigned width,
                            uint32_t value)
{
    unsigned header = header_size(f);

    if (legacy_is_lost(f)) {
        return;
    }
    if (offset >= header) {
        device_config_write(f, offset - header, width, value);
    } else {
        write_header(f, offset, value & all_ones(width));
    }
}
