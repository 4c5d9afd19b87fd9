/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a simulated VF, in the form of either protocol: docs/migration-abi.md, 2.3 and 3.3.
 */
#include "tools/vfiod/far.h"
#include "tools/vfiod/sim.h"

#include "drivers/virtio/device.h"
#include "vmm/base/little_endian.h"

#include <string.h>

#define PAGE_SHIFT 12
#define PFN_LIMIT  (1ULL << 32)

/* ---- What either form has, as plain values ---- */

struct queue_image {
    bool there, enabled, indexed;
    uint16_t size, vector, avail, used;
    uint64_t address[3]; /* descriptors, available ring, used ring */
};

struct image {
    uint64_t features; /* of the driver */
    uint64_t offered;  /* of the device; 1.4 compares all when it sees them */
    uint16_t config_vector, queues, select;
    uint8_t status;
    bool common, has_config;
    uint8_t config[BACK_END_CONFIG_MAX];
    struct queue_image queue[SIM_QUEUES];
};

static void ring_addresses(uint64_t at, uint16_t size, uint64_t address[3])
{
    uint64_t avail = at + 16ULL * size, end = avail + 6 + 2ULL * size;

    address[0] = at;
    address[1] = at != 0 ? avail : 0;
    address[2] = at != 0 ? (end + 4095) & ~4095ULL : 0;
}

static void take_image(const struct sim *sim, struct image *image)
{
    *image = (struct image){.features = sim->driver_features,
                            .offered = sim->features,
                            .config_vector = sim->config_vector,
                            .queues = (uint16_t)sim->queues,
                            .select = sim->select,
                            .status = sim->status,
                            .common = true,
                            .has_config = true};
    memcpy(image->config, sim->config, sim->config_size);
    for (unsigned i = 0; i < sim->queues; i++) {
        const struct sim_queue *queue = &sim->queue[i];

        image->queue[i] = (struct queue_image){.there = true,
                                               .enabled = queue->pfn != 0,
                                               .indexed = queue->pfn != 0,
                                               .size = sim->options.queue_size,
                                               .vector = queue->vector,
                                               .avail = queue->ring.avail,
                                               .used = queue->ring.used};
        ring_addresses((uint64_t)queue->pfn << PAGE_SHIFT, sim->options.queue_size,
                       image->queue[i].address);
    }
}

static bool vector_fits(const struct sim *sim, uint16_t vector)
{
    return vector <= sim->queues || vector == LEGACY_NO_VECTOR;
}

static bool queue_fits(const struct sim *sim, const struct queue_image *queue)
{
    uint64_t address[3];

    ring_addresses(queue->address[0], sim->options.queue_size, address);
    return queue->there && queue->size == sim->options.queue_size &&
           vector_fits(sim, queue->vector) && queue->enabled == (queue->address[0] != 0) &&
           queue->address[0] % (1U << PAGE_SHIFT) == 0 &&
           queue->address[0] >> PAGE_SHIFT < PFN_LIMIT &&
           memcmp(queue->address, address, sizeof(address)) == 0 &&
           queue->avail == queue->used; /* it has done all that it took, as we have */
}

/* What a driver cannot write has to be the same. */
static bool config_fits(const struct sim *sim, const struct image *image)
{
    unsigned open = sim->options.type == VIRTIO_TYPE_NET ? NET_MAC_SIZE + 2 : 0; /* and status */

    return !image->has_config ||
           memcmp(image->config + open, sim->config + open, sim->config_size - open) == 0;
}

/* What it offers is what it is: a driver that never asked must not find out later. */
static bool is_alike(const struct sim *sim, const struct image *image)
{
    return sim->options.type != VIRTIO_TYPE_BLOCK ||
           ((image->offered ^ sim->features) & BLOCK_F_READ_ONLY) == 0;
}

static bool image_fits(const struct sim *sim, const struct image *image)
{
    bool fits = image->common && is_alike(sim, image) &&
                (image->features & ~(uint64_t)sim->features) == 0 && image->queues == sim->queues &&
                vector_fits(sim, image->config_vector) &&
                (image->status & ~LEGACY_STATUS_BITS) == 0 && config_fits(sim, image);

    for (unsigned i = 0; i < sim->queues; i++) {
        fits = fits && queue_fits(sim, &image->queue[i]);
    }
    return fits;
}

static void put_image(struct sim *sim, const struct image *image)
{
    sim->driver_features = (uint32_t)image->features;
    sim->config_vector = image->config_vector;
    sim->select = image->select;
    sim->status = image->status;
    if (image->has_config && sim->options.type == VIRTIO_TYPE_NET) {
        memcpy(sim->config, image->config, NET_MAC_SIZE);
    }
    for (unsigned i = 0; i < sim->queues; i++) {
        const struct queue_image *from = &image->queue[i];
        struct sim_queue *queue = &sim->queue[i];

        *queue = (struct sim_queue){.pfn = (uint32_t)(from->address[0] >> PAGE_SHIFT),
                                    .vector = from->vector,
                                    .restored = from->enabled,
                                    .indexed = from->indexed};
        ring_open(&queue->ring, from->address[0], sim->options.queue_size, from->used);
        queue->ring.event_idx = (sim->driver_features & SIM_F_EVENT_IDX) != 0;
    }
}

/* ---- Parts of virtio 1.4, fields of 2021 ---- */

enum { PART_FEATURES = 0x100, PART_DRIVER_FEATURES, PART_COMMON, PART_STATUS, PART_QUEUE };
enum { PART_CONTROL = 0x200 };
enum { FIELD_COMMON = 0, FIELD_CONFIG, FIELD_QUEUE, FIELD_RUN };
enum { COMMON_VECTOR = 0x10, COMMON_QUEUES = 0x12, COMMON_SELECT = 0x16 };
#define PART_HEADER      16U
#define PART_OPTIONAL    1U
#define CONTROL_ADDRESS  0x0101U /* class 1, command 1 */
#define QUEUE_PART_SIZE  32U
#define FIELD_HEADER     8U
#define COMMON_SIZE      32U
#define QUEUE_FIELD_SIZE 38U
#define RUN_SIZE         6U

struct writer {
    uint8_t *at;
    uint32_t used;
};

static void put(struct writer *w, unsigned width, uint64_t value)
{
    bytes_put(w->at + w->used, width, value);
    w->used += width;
}

static void put_part(struct writer *w, uint16_t type, uint64_t selector, uint32_t length)
{
    put(w, 2, type);
    put(w, 2, type == PART_FEATURES ? PART_OPTIONAL : 0);
    put(w, 8, selector);
    put(w, 4, length);
}

static void put_short(struct writer *w, uint16_t type, uint64_t selector, uint64_t value)
{
    put_part(w, type, selector, 2);
    put(w, 2, value);
}

static void put_queue_values(struct writer *w, const struct queue_image *queue)
{
    put(w, 2, queue->size);
    put(w, 2, queue->vector);
    put(w, 2, queue->enabled);
    put(w, 2, 0); /* 2021: the offset of its doorbell */
    for (unsigned i = 0; i < 3; i++) {
        put(w, 8, queue->address[i]);
    }
}

static void save_parts(const struct sim *sim, const struct image *image, struct writer *w)
{
    put_part(w, PART_FEATURES, 0, 8);
    put(w, 8, sim->features);
    put_part(w, PART_DRIVER_FEATURES, 0, 8);
    put(w, 8, image->features);
    put_short(w, PART_COMMON, COMMON_VECTOR, image->config_vector);
    put_short(w, PART_COMMON, COMMON_QUEUES, image->queues);
    put_short(w, PART_COMMON, COMMON_SELECT, image->select);
    put_part(w, PART_STATUS, 0, 1);
    put(w, 1, image->status);
    for (unsigned i = 0; i < sim->queues; i++) {
        put_part(w, PART_QUEUE, i, QUEUE_PART_SIZE);
        put_queue_values(w, &image->queue[i]);
    }
    if (sim->options.type == VIRTIO_TYPE_NET) {
        put_part(w, PART_CONTROL, CONTROL_ADDRESS, NET_MAC_SIZE);
        memcpy(w->at + w->used, sim->config, NET_MAC_SIZE);
        w->used += NET_MAC_SIZE;
    }
}

static void put_field(struct writer *w, uint32_t type, uint32_t length)
{
    put(w, 4, type);
    put(w, 4, length);
    bytes_put(w->at, 4, bytes_get(w->at, 4) + 1); /* the count of fields */
}

static void save_fields(const struct sim *sim, const struct image *image, struct writer *w)
{
    put(w, 4, 0);
    put_field(w, FIELD_COMMON, COMMON_SIZE);
    put(w, 4, 0);
    put(w, 8, sim->features);
    put(w, 4, 0);
    put(w, 8, image->features);
    put(w, 2, image->config_vector);
    put(w, 2, image->queues);
    put(w, 2, image->select);
    put(w, 1, image->status);
    put(w, 1, 0);
    put_field(w, FIELD_CONFIG, sim->config_size);
    memcpy(w->at + w->used, sim->config, sim->config_size);
    w->used += sim->config_size;
    for (unsigned i = 0; i < sim->queues; i++) {
        put_field(w, FIELD_QUEUE, QUEUE_FIELD_SIZE);
        put(w, 2, i);
        put_queue_values(w, &image->queue[i]);
        put(w, 4, 0);
    }
    for (unsigned i = 0; i < sim->queues; i++) {
        if (image->queue[i].indexed) {
            put_field(w, FIELD_RUN, RUN_SIZE);
            put(w, 2, i);
            put(w, 2, image->queue[i].avail);
            put(w, 2, image->queue[i].used);
        }
    }
}

uint32_t sim_save(const struct sim *sim, uint8_t *buffer)
{
    struct writer w = {.at = buffer};
    struct image image;

    take_image(sim, &image);
    if (sim->options.abi == VF_STATE_PARTS) {
        save_parts(sim, &image, &w);
    } else {
        save_fields(sim, &image, &w);
    }
    return w.used;
}

/* ---- Restoring ---- */

static void get_queue_values(const uint8_t *at, struct queue_image *queue)
{
    queue->there = true;
    queue->size = (uint16_t)bytes_get(at, 2);
    queue->vector = (uint16_t)bytes_get(at + 2, 2);
    queue->enabled = bytes_get(at + 4, 2) != 0;
    for (unsigned i = 0; i < 3; i++) {
        queue->address[i] = bytes_get(at + 8 + 8UL * i, 8);
    }
}

static bool get_common(const struct vf_state_part *part, struct image *image)
{
    uint16_t value = (uint16_t)bytes_get(part->value, 2);

    switch (part->selector) {
    case COMMON_VECTOR:
        image->config_vector = value;
        return true;
    case COMMON_QUEUES:
        image->queues = value;
        return true;
    case COMMON_SELECT:
        image->select = value;
        return true;
    default:
        return false;
    }
}

static bool get_part(const struct sim *sim, const struct vf_state_part *part, struct image *image)
{
    static const struct {
        uint16_t type;
        uint8_t length;
    } lengths[] = {
        {PART_FEATURES,        8              },
        {PART_DRIVER_FEATURES, 8              },
        {PART_COMMON,          2              },
        {PART_STATUS,          1              },
        {PART_QUEUE,           QUEUE_PART_SIZE},
        {PART_CONTROL,         NET_MAC_SIZE   },
    };
    unsigned i = 0;

    while (i < ARRAY_SIZE(lengths) && lengths[i].type != part->type) {
        i++;
    }
    if (i == ARRAY_SIZE(lengths)) {
        return part->optional;
    }
    if (part->length != lengths[i].length) {
        return false;
    }
    switch (part->type) {
    case PART_FEATURES:
        image->offered = bytes_get(part->value, 8);
        return image->offered == sim->features;
    case PART_DRIVER_FEATURES:
        image->features = bytes_get(part->value, 8);
        return true;
    case PART_COMMON:
        return get_common(part, image);
    case PART_STATUS:
        image->status = *part->value;
        image->common = true;
        return true;
    case PART_QUEUE:
        if (part->selector >= sim->queues) {
            return false;
        }
        get_queue_values(part->value, &image->queue[part->selector]);
        return true;
    default: /* the address: all else of the configuration stays as it is */
        memcpy(image->config, sim->config, sim->config_size);
        memcpy(image->config, part->value, NET_MAC_SIZE);
        image->has_config = part->selector == CONTROL_ADDRESS;
        return image->has_config && sim->options.type == VIRTIO_TYPE_NET;
    }
}

static bool get_field(const struct sim *sim, const struct vf_state_part *part, struct image *image)
{
    const uint8_t *at = part->value;
    struct queue_image *queue = &image->queue[part->selector < sim->queues ? part->selector : 0];

    switch (part->type) {
    case FIELD_COMMON:
        if (part->length != COMMON_SIZE) {
            return false;
        }
        image->offered = bytes_get(at + 4, 8);
        image->features = bytes_get(at + 16, 8);
        image->config_vector = (uint16_t)bytes_get(at + 24, 2);
        image->queues = (uint16_t)bytes_get(at + 26, 2);
        image->select = (uint16_t)bytes_get(at + 28, 2);
        image->status = at[30];
        image->common = true;
        return true;
    case FIELD_CONFIG:
        if (part->length != sim->config_size) {
            return false;
        }
        memcpy(image->config, at, sim->config_size);
        image->has_config = true;
        return true;
    case FIELD_QUEUE:
        if (part->length != QUEUE_FIELD_SIZE || part->selector >= sim->queues) {
            return false;
        }
        get_queue_values(at + 2, queue);
        return true;
    case FIELD_RUN:
        if (part->length != RUN_SIZE || part->selector >= sim->queues) {
            return false;
        }
        queue->avail = (uint16_t)bytes_get(at + 2, 2);
        queue->used = (uint16_t)bytes_get(at + 4, 2);
        queue->indexed = true;
        return true;
    default:
        return part->optional;
    }
}

enum status sim_restore(struct sim *sim, const uint8_t *state, uint32_t size)
{
    bool parts = sim->options.abi == VF_STATE_PARTS, fits = true;
    struct image image = {.offered = sim->features}; /* 1.4: if the state does not tell */
    struct vf_state_part part;
    uint32_t at = 0;

    while (fits && vf_state_next(sim->options.abi, state, size, &at, &part) == STATUS_OK) {
        fits = parts ? get_part(sim, &part, &image) : get_field(sim, &part, &image);
    }
    fits = fits && image_fits(sim, &image) && (parts || image.has_config);
    if (!fits) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    put_image(sim, &image);
    return STATUS_OK;
}

/* ---- Stopping and running ---- */

/* The driver's used index is where the device stood. False: it cannot go on there. */
static bool take_up(struct sim_queue *queue)
{
    uint16_t used;

    if (!queue->restored) {
        return true;
    }
    if (queue->indexed && ring_is_far(&queue->ring)) {
        used = queue->ring.used; /* it would take a message, and time, to see */
    } else if (!ring_used_index(&queue->ring, &used) ||
               (queue->indexed && used != queue->ring.used)) {
        return false;
    }
    queue->ring.avail = queue->ring.used = queue->ring.told = used;
    queue->restored = false;
    return true;
}

enum status sim_set_level(struct sim *sim, enum vf_state_level level)
{
    far_cancel();
    if (level == VF_STATE_RUNNING && sim->level != VF_STATE_RUNNING) {
        for (unsigned i = 0; i < sim->queues; i++) {
            if (!take_up(&sim->queue[i])) {
                return STATUS_NOTE(STATUS_INVALID);
            }
            sim_notify(sim, i); /* nobody knows what was rung for meanwhile */
        }
    }
    sim->level = level;
    return STATUS_OK;
}
