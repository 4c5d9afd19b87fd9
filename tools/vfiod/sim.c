/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of a simulated VF, and its turn. */
#include "tools/vfiod/sim.h"

#include "tools/vfiod/far.h"

#include "drivers/virtio/device.h"
#include "vmm/base/little_endian.h"

#include <string.h>

#define PAGE_SHIFT      12
#define NOTHING         0xffU
#define STATUS_SETTABLE LEGACY_STATUS_BITS
#define AWAY_MS         10 /* until a ring that could not be read is looked at again */
#define CONFIG_BASE     LEGACY_HEADER_MSIX

bool sim_open(struct sim *sim, const struct sim_options *options)
{
    *sim = (struct sim){.options = *options, .back_end = {.fd = -1}};
    if (options->type == VIRTIO_TYPE_BLOCK ? !block_open(sim) : !net_open(sim)) {
        back_end_close(sim);
        return false;
    }
    sim->features |= SIM_F_ANY_LAYOUT | SIM_F_INDIRECT | SIM_F_EVENT_IDX;
    sim_flr(sim);
    return true;
}

void sim_close(struct sim *sim)
{
    far_forget();
    back_end_close(sim);
}

/* ---- Registers ---- */

static struct sim_queue *selected(struct sim *sim)
{
    return sim->select < sim->queues ? &sim->queue[sim->select] : NULL;
}

static uint32_t read_queue(struct sim *sim, uint32_t offset)
{
    const struct sim_queue *queue = selected(sim);

    switch (offset) {
    case LEGACY_QUEUE_PFN:
        return queue != NULL ? queue->pfn : 0;
    case LEGACY_QUEUE_SIZE:
        return queue != NULL ? sim->options.queue_size : 0;
    default:
        return queue != NULL ? queue->vector : LEGACY_NO_VECTOR;
    }
}

/* docs/mmr-device.md, 5.3: a register is read whole; all else is all ones. */
uint32_t sim_read(struct sim *sim, uint32_t offset, unsigned width)
{
    static const uint8_t widths[CONFIG_BASE] = {
        [LEGACY_HOST_FEATURES] = 4, [LEGACY_GUEST_FEATURES] = 4, [LEGACY_QUEUE_PFN] = 4,
        [LEGACY_QUEUE_SIZE] = 2,    [LEGACY_QUEUE_SELECT] = 2,   [LEGACY_STATUS] = 1,
        [LEGACY_ISR] = 1,           [LEGACY_CONFIG_VECTOR] = 2,  [LEGACY_QUEUE_VECTOR] = 2,
    };

    if (offset >= CONFIG_BASE) {
        offset -= CONFIG_BASE;
        return offset + width <= sim->config_size ? (uint32_t)bytes_get(&sim->config[offset], width)
                                                  : all_ones(width);
    }
    if (width != widths[offset]) {
        return all_ones(width);
    }
    switch (offset) {
    case LEGACY_HOST_FEATURES:
        return sim->features;
    case LEGACY_GUEST_FEATURES:
        return sim->driver_features;
    case LEGACY_QUEUE_SELECT:
        return sim->select;
    case LEGACY_STATUS:
        return sim->status;
    case LEGACY_ISR:
        return 0; /* MSI-X is in use whenever somebody could be interested */
    case LEGACY_CONFIG_VECTOR:
        return sim->config_vector;
    default:
        return read_queue(sim, offset);
    }
}

static void reset_queue(struct sim_queue *queue)
{
    *queue = (struct sim_queue){.vector = LEGACY_NO_VECTOR};
}

static void reset_virtio(struct sim *sim)
{
    far_cancel();
    sim->driver_features = 0;
    sim->select = 0;
    sim->status = 0;
    sim->config_vector = LEGACY_NO_VECTOR;
    for (unsigned i = 0; i < SIM_QUEUES; i++) {
        reset_queue(&sim->queue[i]);
    }
    for (unsigned i = 0; i < SIM_ENTRIES; i++) {
        sim->entry[i].pending = false;
    }
}

void sim_flr(struct sim *sim)
{
    reset_virtio(sim);
    for (unsigned i = 0; i < SIM_ENTRIES; i++) {
        sim->entry[i] = (struct sim_entry){.masked = true};
    }
    sim->bus_master = sim->msix = false;
    sim->level = VF_STATE_RUNNING;
    sim->config_news = false;
}

static void write_features(struct sim *sim, uint32_t value)
{
    sim->driver_features = value & sim->features;
    for (unsigned i = 0; i < sim->queues; i++) {
        sim->queue[i].ring.event_idx = (sim->driver_features & SIM_F_EVENT_IDX) != 0;
    }
}

static void write_pfn(struct sim *sim, uint32_t pfn)
{
    struct sim_queue *queue = selected(sim);

    if (queue == NULL) {
        return;
    }
    queue->pfn = pfn;
    queue->notified = queue->restored = false;
    ring_open(&queue->ring, (uint64_t)pfn << PAGE_SHIFT, sim->options.queue_size, 0);
    queue->ring.event_idx = (sim->driver_features & SIM_F_EVENT_IDX) != 0;
}

static uint16_t vector_or_none(const struct sim *sim, uint32_t vector)
{
    return vector <= sim->queues ? (uint16_t)vector : LEGACY_NO_VECTOR;
}

static void write_header(struct sim *sim, uint32_t offset, uint32_t value)
{
    struct sim_queue *queue = selected(sim);

    switch (offset) {
    case LEGACY_GUEST_FEATURES:
        write_features(sim, value);
        break;
    case LEGACY_QUEUE_PFN:
        write_pfn(sim, value);
        break;
    case LEGACY_QUEUE_SELECT:
        sim->select = (uint16_t)value;
        break;
    case LEGACY_QUEUE_NOTIFY:
        sim_notify(sim, value);
        break;
    case LEGACY_STATUS:
        if (value == 0) {
            reset_virtio(sim);
        } else {
            sim->status = value & STATUS_SETTABLE;
        }
        break;
    case LEGACY_CONFIG_VECTOR:
        sim->config_vector = vector_or_none(sim, value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (queue != NULL) {
            queue->vector = vector_or_none(sim, value);
        }
        break;
    default:
        break;
    }
}

/* What a driver may write in the device configuration: its address. */
static void write_config(struct sim *sim, uint32_t offset, unsigned width, uint32_t value)
{
    if (sim->options.type == VIRTIO_TYPE_NET && offset + width <= NET_MAC_SIZE) {
        bytes_put(&sim->config[offset], width, value);
    }
}

void sim_write(struct sim *sim, uint32_t offset, unsigned width, uint32_t value)
{
    static const uint8_t widths[CONFIG_BASE] = {
        [LEGACY_GUEST_FEATURES] = 4, [LEGACY_QUEUE_PFN] = 4, [LEGACY_QUEUE_SELECT] = 2,
        [LEGACY_QUEUE_NOTIFY] = 2,   [LEGACY_STATUS] = 1,    [LEGACY_CONFIG_VECTOR] = 2,
        [LEGACY_QUEUE_VECTOR] = 2,
    };

    if (sim->level == VF_STATE_FROZEN) {
        return; /* docs/migration-abi.md, 3.2 */
    }
    if (offset != LEGACY_QUEUE_NOTIFY) {
        far_cancel();
    }
    if (offset >= CONFIG_BASE) {
        write_config(sim, offset - CONFIG_BASE, width, value);
    } else if (width == widths[offset]) {
        write_header(sim, offset, value);
    }
}

void sim_notify(struct sim *sim, unsigned queue)
{
    if (queue < sim->queues) {
        sim->queue[queue].notified = true;
    }
}

/* ---- Its turn ---- */

static void raise(struct sim *sim, uint16_t vector)
{
    if (vector < SIM_ENTRIES) {
        sim->entry[vector].pending = true;
    }
}

static bool is_due(const struct sim *sim, unsigned i)
{
    const struct sim_queue *queue = &sim->queue[i];

    return (queue->notified || queue->again) && queue->pfn != 0 && !queue->ring.broken;
}

static void serve(struct sim *sim, unsigned i)
{
    struct sim_queue *queue = &sim->queue[i];
    enum ring_outcome outcome;

    /* A notification that comes while an answer is missing is for the next time. */
    queue->notified &= queue->again;
    far_begin(&queue->ring);
    outcome = sim->options.type == VIRTIO_TYPE_BLOCK ? block_serve(sim, i) : net_serve(sim, i);
    queue->again = !far_end();
    if (!queue->again) {
        queue->away = outcome == RING_AWAY;
        queue->notified |= outcome == RING_CHAIN || outcome == RING_AWAY;
    }
    queue->owed |= ring_wants_interrupt(&queue->ring);
}

static void pay(struct sim *sim, struct sim_queue *queue)
{
    if (queue->owed && far_is_idle()) {
        queue->owed = false;
        raise(sim, queue->vector);
    }
}

static bool may_run(const struct sim *sim)
{
    return sim->level == VF_STATE_RUNNING && sim->bus_master;
}

int sim_delay_ms(const struct sim *sim)
{
    int delay = sim->config_news ? 0 : -1;

    for (unsigned i = 0; i < sim->queues && delay != 0; i++) {
        if (is_due(sim, i) && far_may_serve(&sim->queue[i].ring)) {
            delay = sim->queue[i].away ? AWAY_MS : 0;
        }
        if (sim->queue[i].owed && far_is_idle()) {
            delay = 0;
        }
    }
    return may_run(sim) ? delay : -1;
}

void sim_run(struct sim *sim)
{
    if (!may_run(sim)) {
        return;
    }
    if (sim->config_news) {
        sim->config_news = false;
        raise(sim, sim->config_vector);
    }
    for (unsigned i = 0; i < sim->queues; i++) {
        struct sim_queue *queue = &sim->queue[i];

        pay(sim, queue);
        if (is_due(sim, i) && far_may_serve(&queue->ring)) {
            serve(sim, i);
        }
        pay(sim, queue);
    }
}

int sim_take_message(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_ENTRIES && sim->level == VF_STATE_RUNNING; i++) {
        struct sim_entry *entry = &sim->entry[i];

        if (entry->open && !entry->masked && entry->pending && sim->msix && sim->bus_master) {
            entry->pending = false;
            return (int)i;
        }
    }
    return -1;
}
