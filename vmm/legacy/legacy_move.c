/* SPDX-License-Identifier: BSD-2-Clause */
/* A function goes from one VF to another while it is paused; docs/migration.md has the order. */
#include "vmm/host/irq.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#include <string.h>

static uint16_t ask_queue_size(struct legacy_function *f, unsigned queue)
{
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, queue);
    return (uint16_t)legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SIZE, 2);
}

static void describe_queues(struct legacy_function *f, const uint32_t *features,
                            struct legacy_description *d)
{
    bool free = features != NULL;

    if (free) { /* a net device has as many as its driver knows how to use */
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_GUEST_FEATURES, 4, *features);
    }
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        d->queue_size[i] = free ? ask_queue_size(f, i) : f->state.queue[i].size;
        if (free && d->queue_size[i] == 0) {
            break;
        }
    }
    if (free) {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, f->state.select);
    }
}

/* Element by element; what lies beyond the VF's device configuration stays 0. */
static void describe_field(struct legacy_function *f, const struct legacy_field *field,
                           uint8_t *config)
{
    for (unsigned at = field->offset; at < field->offset + field->count * (unsigned)field->width &&
                                      at + field->width <= f->config_length;
         at += field->width) {
        uint32_t value = legacy_transport_read(f, LEGACY_AREA_CONFIG, at, field->width);

        memcpy(&config[at], &value, field->width);
    }
}

enum status legacy_describe(struct legacy_function *f, const uint32_t *features,
                            struct legacy_description *d)
{
    memset(d, 0, sizeof(*d));
    d->type = f->setup.type;
    d->vectors = f->vectors;
    d->config_length = f->config_length;
    d->driver_features = f->state.features;
    spinlock_acquire(&f->lock);
    d->features =
        legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_HOST_FEATURES, 4) & LEGACY_FEATURES;
    for (unsigned i = 0; i < f->type->field_count; i++) {
        describe_field(f, &f->type->fields[i], d->config);
    }
    describe_queues(f, features, d);
    spinlock_release(&f->lock);
    return legacy_is_lost(f) ? STATUS_NOTE(STATUS_DEVICE) : STATUS_OK;
}

void legacy_hand_over(struct legacy_function *from, struct legacy_function *to)
{
    struct legacy_set *set = from->set;

    for (unsigned i = 0; i < set->count; i++) {
        if (set->function[i] == from) {
            set->function[i] = to;
        }
    }
    to->set = set;
    to->irq.paused = true;
    to->irq.line = from->irq.line;
    from->irq.line = false; /* it is the other's to drive */
    to->io_base = from->io_base;
    to->mmio_base = from->mmio_base;
    to->notify_port = from->notify_port;
}

enum status legacy_open_vectors(struct legacy_function *f, const struct legacy_function *like)
{
    enum status status = STATUS_OK;

    spinlock_acquire(&f->lock);
    for (unsigned i = 0; i < f->vectors && status == STATUS_OK; i++) {
        if (bit_get(like->open, i) && !bit_get(f->open, i)) {
            status = legacy_edge_vector_open(f, i);
            if (status == STATUS_OK) {
                bit_set(f->open, i);
            }
        }
    }
    spinlock_release(&f->lock);
    return status;
}

void legacy_lend_master(struct legacy_function *f, bool lend)
{
    bool wanted = f->state.bus_master != 0;

    spinlock_acquire(&f->lock);
    legacy_life_set_bus_master(f, wanted || lend);
    f->state.bus_master = wanted;
    spinlock_release(&f->lock);
}

void legacy_take_messages(struct legacy_function *to, struct legacy_function *from)
{
    uint64_t arrived[LEGACY_VECTOR_WORDS], flags = irq_save();

    spinlock_acquire(&from->irq.lock);
    memcpy(arrived, from->irq.arrived, sizeof(arrived));
    spinlock_release(&from->irq.lock);
    spinlock_acquire(&to->irq.lock);
    for (unsigned i = 0; i < LEGACY_VECTOR_WORDS; i++) {
        to->irq.arrived[i] |= arrived[i];
    }
    spinlock_release(&to->irq.lock);
    irq_restore(flags);
}

/* What a message of QUEUE's would be: of its own entry, or of that of all queues. */
static unsigned entry_of(const struct legacy_function *f, unsigned queue)
{
    return f->irq.msix ? f->state.queue[queue].vector : f->vectors > 1 ? 1 : 0;
}

static void record(struct legacy_function *f, unsigned entry)
{
    if (entry < f->vectors) {
        bit_set(f->irq.arrived, entry);
    }
}

void legacy_poke(struct legacy_function *f, bool config, const uint64_t idle[LEGACY_QUEUE_WORDS])
{
    bool queues = false;

    spinlock_acquire(&f->lock);
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        if (has_ring(f, i) && !bit_get(idle, i)) {
            legacy_notify_queue(f, (uint16_t)i);
        }
    }
    uint64_t flags = irq_save();

    spinlock_acquire(&f->irq.lock);
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        if (has_ring(f, i)) {
            record(f, entry_of(f, i));
            queues = true;
        }
    }
    if (config && queues) {
        record(f, f->irq.msix ? f->state.config_vector : 0);
    }
    spinlock_release(&f->irq.lock);
    irq_restore(flags);
    spinlock_release(&f->lock);
}

/* As its driver did it: the device is told of its driver, takes features and rings, and goes. */
void legacy_replay(struct legacy_function *f)
{
    uint8_t status = f->state.status;

    spinlock_acquire(&f->lock);
    if (status != 0) {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1,
                               status & ~LEGACY_STATUS_DRIVER_OK);
    }
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_GUEST_FEATURES, 4, f->state.features);
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        if (has_ring(f, i)) {
            legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, i);
            legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_PFN, 4,
                                   f->state.queue[i].pfn);
        }
    }
    spinlock_release(&f->lock);
    legacy_rebind(f);
    spinlock_acquire(&f->lock);
    if (status != 0) {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1, status);
    }
    spinlock_release(&f->lock);
}

void legacy_forsake(struct legacy_function *f)
{
    __atomic_store_n(&f->standby, false, __ATOMIC_RELEASE);
}

void legacy_retire(struct legacy_function *f)
{
    spinlock_acquire(&f->lock);
    legacy_life_take_off(f);
    spinlock_release(&f->lock);
}

bool legacy_try_give_up(struct legacy_function *f, const char *why)
{
    if (!spinlock_try(&f->lock)) {
        return false;
    }
    bool now = !f->rebuilding;

    if (now) {
        legacy_life_lose(f, why);
    }
    spinlock_release(&f->lock);
    return now;
}

void legacy_give_up(struct legacy_function *f, const char *why)
{
    spinlock_acquire(&f->lock);
    legacy_life_lose(f, why);
    spinlock_release(&f->lock);
}
