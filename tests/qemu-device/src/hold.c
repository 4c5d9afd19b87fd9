/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that a block VF has taken and not given to its back end yet.
 *
 * A device has a limit to what its back end works on at once.  Here a
 * property says that nothing goes on to the back end: what is held then can
 * be listed in the state of the VF, and is done by whoever gets that state.
 *
 * Or so many stay, and those that come later pass them.  Then the ring does
 * not say any more what they were: only a reset of the VF ends them.
 */
#include "device.h"
#include "backend.h"
#include "hold.h"
#include "image.h"
#include "hw/virtio/virtio-blk.h"

typedef struct Held {
    unsigned queue;
    VirtQueueElement *element;
} Held;

static GArray *held_of(PCIDevice *vf)
{
    return vf_state(vf)->held;
}

static bool is_holding(PCIDevice *vf)
{
    const PFState *s = pf_state(pf_of(vf));

    /* Without the guard of VFs that migrate a modern driver's reset is not
     * seen here, and would leave what is held behind. */
    return vf_state(vf)->tap.present && s->faults.hold &&
           (!s->faults.vf || s->faults.vf == vf_number(vf));
}

/* False: there may be more. */
static bool take(PCIDevice *vf, VirtQueue *vq)
{
    Held h = { .queue = virtio_get_queue_index(vq) };

    while (held_of(vf)->len < pf_state(pf_of(vf))->faults.hold_most) {
        h.element = virtqueue_pop(vq, sizeof(*h.element));
        if (!h.element) {
            return true;
        }
        g_array_append_val(held_of(vf), h);
    }
    return false;
}

static void handle_queue(VirtIODevice *vdev, VirtQueue *vq)
{
    PCIDevice *vf = PCI_DEVICE(DEVICE(vdev)->parent_bus->parent);

    if (!is_holding(vf) || !take(vf, vq)) {
        vf_state(vf)->held_passed |= held_of(vf)->len > 0;
        virtio_blk_handle_vq(VIRTIO_BLK(vdev), vq);
        if (pf_state(pf_of(vf))->answer_at_once) {
            family_of(vf)->backend->drain(vf);
        }
    }
}

unsigned hold_count(PCIDevice *vf, unsigned n)
{
    GArray *held = held_of(vf);
    unsigned count = 0;

    for (unsigned i = 0; held && i < held->len; i++) {
        count += g_array_index(held, Held, i).queue == n;
    }
    return count;
}

unsigned hold_stays(PCIDevice *vf, unsigned n)
{
    return vf_state(vf)->held_passed && !pf_state(pf_of(vf))->list_in_flight
           ? 0 : hold_count(vf, n);
}

/* In the reverse order: back to where QEMU's device takes them itself. */
void hold_release(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    GArray *held = held_of(vf);

    if (!held || !held->len || vf_state(vf)->held_passed) {
        return;
    }
    for (int i = held->len - 1; i >= 0; i--) {
        Held *h = &g_array_index(held, Held, i);

        virtqueue_unpop(virtio_get_queue(vdev, h->queue), h->element, 0);
        g_free(h->element);
    }
    g_array_set_size(held, 0);
    for (int n = 0; n < virtio_get_num_queues(vdev); n++) {
        if (virtio_queue_get_addr(vdev, n)) {
            virtio_blk_handle_vq(VIRTIO_BLK(vdev), virtio_get_queue(vdev, n));
        }
    }
}

void hold_follow(PCIDevice *vf)
{
    if (!is_holding(vf) && vf_state(vf)->halt.phase == PHASE_RUNNING) {
        hold_release(vf);
    }
}

void hold_drop(PCIDevice *vf)
{
    GArray *held = held_of(vf);

    for (unsigned i = 0; held && i < held->len; i++) {
        Held *h = &g_array_index(held, Held, i);

        virtqueue_detach_element(virtio_get_queue(virtio_of(vf), h->queue),
                                 h->element, 0);
        g_free(h->element);
    }
    if (held) {
        g_array_set_size(held, 0);
    }
    vf_state(vf)->held_passed = false;
}

/* QEMU's device and its queues are gone by now. */
void hold_exit(PCIDevice *vf)
{
    GArray *held = held_of(vf);

    for (unsigned i = 0; held && i < held->len; i++) {
        g_free(g_array_index(held, Held, i).element);
    }
    if (held) {
        g_array_free(held, true);
        vf_state(vf)->held = NULL;
    }
}

void hold_list(PCIDevice *vf, Image *image)
{
    GArray *held = held_of(vf);

    for (unsigned i = 0; held && i < held->len; i++) {
        Held *h = &g_array_index(held, Held, i);
        QueueImage *q = &image->queue[h->queue];

        if (!q->in_flight) {
            q->in_flight = g_new(uint16_t, IMAGE_HEADS);
        }
        q->in_flight[q->in_flight_count++] = h->element->index;
        q->used_index--;
    }
}

/* Takes the place of QEMU's handler, which is reached by name; for
 * answer-at-once whether the VF migrates or not. */
void hold_init(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);

    if (family_of(vf)->virtio_id != VIRTIO_ID_BLOCK) {
        return;
    }
    vf_state(vf)->held = g_array_new(false, false, sizeof(Held));
    for (int n = 0; n < virtio_get_num_queues(vdev); n++) {
        int size = virtio_queue_get_num(vdev, n);

        virtio_delete_queue(virtio_get_queue(vdev, n));
        virtio_add_queue(vdev, size, handle_queue);
    }
}
