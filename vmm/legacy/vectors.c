/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector registers of the VF (14h, 16h).
 *
 * The VF's MSI-X is always enabled, so these registers always exist in the VF. A guest that has
 * MSI-X enabled too decides what stands in them; its entry n is the VF's entry n. For a guest
 * without MSI-X the VMM writes them: entry 0 for configuration changes, entry 1 for all queues, or
 * entry 0 for both if there is no other.
 *
 * An entry gets a vector of the VMM when it first goes into a register. If there is none left the
 * guest reads back FFFFh and makes do with fewer, as its driver knows from real devices.
 */
#include "vmm/legacy/inflight.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#include "drivers/virtio/device.h"

#include <string.h>

#define INTX_CONFIG_ENTRY 0U
#define INTX_QUEUE_ENTRY  1U
#define EMERGENCY_WRITE   8U /* offset of emerg_wr in a console's configuration, the last */

/* VECTOR as the VF may get it: an open entry or none. */
static uint16_t open_vector(struct legacy_function *f, uint16_t vector)
{
    if (vector >= f->vectors || legacy_is_lost(f)) {
        return LEGACY_NO_VECTOR;
    }
    if (!bit_get(f->open, vector)) {
        if (legacy_edge_vector_open(f, vector) != STATUS_OK) {
            return LEGACY_NO_VECTOR;
        }
        bit_set(f->open, vector);
    }
    return vector;
}

/* Did the VF accept it? */
static bool write_vector(struct legacy_function *f, unsigned offset, uint16_t vector)
{
    vector = open_vector(f, vector);
    legacy_transport_write(f, LEGACY_AREA_HEADER, offset, 2, vector);
    return vector != LEGACY_NO_VECTOR &&
           legacy_transport_read(f, LEGACY_AREA_HEADER, offset, 2) == vector;
}

/* For a guest with INTx: the configuration entry is the VF's first, so it must work. */
static void write_intx_config(struct legacy_function *f)
{
    if (!write_vector(f, LEGACY_CONFIG_VECTOR, INTX_CONFIG_ENTRY)) {
        legacy_life_lose(f, "does not take an interrupt vector for configuration changes");
    }
}

/* A VF, or a VMM, that has no second vector: the first one can then mean either. */
static bool write_intx_queue(struct legacy_function *f)
{
    if (f->vectors > 1 && write_vector(f, LEGACY_QUEUE_VECTOR, INTX_QUEUE_ENTRY)) {
        return true;
    }
    __atomic_store_n(&f->irq.first_entry_isr, LEGACY_ISR_QUEUE | LEGACY_ISR_CONFIG,
                     __ATOMIC_RELEASE);
    return write_vector(f, LEGACY_QUEUE_VECTOR, INTX_CONFIG_ENTRY);
}

void legacy_vectors_set_config(struct legacy_function *f, uint16_t vector)
{
    f->state.config_vector = vector;
    (void)write_vector(f, LEGACY_CONFIG_VECTOR, vector);
}

/* Is there a queue that the guest selected? Queues that are not there cost nothing later. */
static bool selected_exists(struct legacy_function *f)
{
    struct legacy_queue *queue = &f->state.queue[f->state.select];

    if (queue->size == 0) {
        uint32_t size = legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SIZE, 2);

        queue->size = legacy_is_lost(f) ? 0 : (uint16_t)size;
    }
    return queue->size != 0;
}

void legacy_vectors_set_queue(struct legacy_function *f, uint16_t vector)
{
    if (!selected_exists(f)) {
        f->counters.ignored++;
        return;
    }
    f->state.queue[f->state.select].vector = vector;
    bit_set(f->touched, f->state.select);
    (void)write_vector(f, LEGACY_QUEUE_VECTOR, vector);
}

/* Before the ring is there, so that no message can be missed. */
bool legacy_vectors_prepare_queue(struct legacy_function *f)
{
    if (!selected_exists(f)) {
        return false;
    }
    bit_set(f->touched, f->state.select);
    if (f->irq.msix) {
        return true; /* the guest sets it, now or later */
    }
    if (!write_intx_queue(f)) {
        legacy_life_lose(f, "does not take an interrupt vector for a queue");
        return false;
    }
    return true;
}

void legacy_vectors_restart(struct legacy_function *f)
{
    f->state.select = 0;
    f->state.features = 0;
    f->state.config_vector = LEGACY_NO_VECTOR;
    for (unsigned queue = 0; queue < LEGACY_QUEUES_MAX; queue++) {
        f->state.queue[queue] = (struct legacy_queue){.vector = LEGACY_NO_VECTOR};
    }
    memset(f->state.device_config, 0, sizeof(f->state.device_config));
    memset(f->state.device_written, 0, sizeof(f->state.device_written));
    memset(f->touched, 0, sizeof(f->touched));
    legacy_inflight_forget(f);
    legacy_interrupt_clear(f, f->irq.msix);
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, f->state.select);
    if (!f->irq.msix) {
        write_intx_config(f);
    }
}

static void rewrite_queue(struct legacy_function *f, unsigned queue)
{
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, queue);
    if (f->irq.msix) {
        (void)write_vector(f, LEGACY_QUEUE_VECTOR, f->state.queue[queue].vector);
    } else if (!has_ring(f, queue)) {
        (void)write_vector(f, LEGACY_QUEUE_VECTOR, LEGACY_NO_VECTOR);
    } else if (!write_intx_queue(f)) {
        legacy_life_lose(f, "does not take an interrupt vector for a queue");
    }
}

/* What the state says, into the VF. */
static void rewrite(struct legacy_function *f)
{
    if (f->irq.msix) {
        (void)write_vector(f, LEGACY_CONFIG_VECTOR, f->state.config_vector);
    } else {
        write_intx_config(f);
    }
    for (unsigned queue = 0; queue < LEGACY_QUEUES_MAX; queue++) {
        if (bit_get(f->touched, queue)) {
            rewrite_queue(f, queue);
        }
    }
    if (f->state.select < LEGACY_QUEUES_MAX) {
        legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_QUEUE_SELECT, 2, f->state.select);
    }
}

void legacy_vectors_switch(struct legacy_function *f, bool on)
{
    legacy_interrupt_clear(f, on);
    rewrite(f);
    legacy_interrupt_recover(f);
}

/* Not every state of a device has these; where it has, nothing is written. A console's emergency
 * output is said once. */
static void rewrite_config(struct legacy_function *f, const struct legacy_field *field)
{
    unsigned end = f->type->type == VIRTIO_TYPE_CONSOLE ? EMERGENCY_WRITE : f->config_length;

    for (unsigned i = 0; i < field->count; i++) {
        unsigned at = field->offset + i * field->width;

        if (at + field->width > end || !f->state.device_written[at]) {
            continue;
        }
        uint32_t value = (uint32_t)bytes_get(&f->state.device_config[at], field->width);

        if (legacy_transport_read(f, LEGACY_AREA_CONFIG, at, field->width) != value) {
            legacy_transport_write(f, LEGACY_AREA_CONFIG, at, field->width, value);
        }
    }
}

void legacy_rebind(struct legacy_function *f)
{
    spinlock_acquire(&f->lock);
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        if (has_ring(f, i) || f->state.queue[i].vector != LEGACY_NO_VECTOR) {
            bit_set(f->touched, i);
        }
    }
    if (!legacy_is_lost(f)) {
        rewrite(f);
    }
    for (unsigned i = 0; i < f->type->field_count; i++) {
        rewrite_config(f, &f->type->fields[i]);
    }
    spinlock_release(&f->lock);
}

void legacy_vectors_close_all(struct legacy_function *f)
{
    for (unsigned entry = 0; entry < f->vectors; entry++) {
        if (bit_get(f->open, entry)) {
            legacy_edge_vector_close(f, entry);
        }
    }
    memset(f->open, 0, sizeof(f->open));
}
