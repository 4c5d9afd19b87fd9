/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State that was written to a VF and waits for the VF to run.
 */
#include "device.h"
#include "staged.h"
#include "hw/virtio/virtio-net.h"
#include "qemu/iov.h"

void staged_set(PCIDevice *vf, Image *image)
{
    VFState *s = vf_state(vf);

    if (image != s->staged) {
        image_free(s->staged);
        s->staged = image;
    }
}

void staged_forget(PCIDevice *vf)
{
    staged_set(vf, NULL);
}

/* The network has to learn where the address is now: QEMU asks the driver to
 * tell it, if the driver has taken GUEST_ANNOUNCE. */
static void announce(PCIDevice *vf)
{
    NetClientState *nc;

    if (family_of(vf)->virtio_id == VIRTIO_ID_NET &&
        virtio_of(vf)->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        nc = qemu_get_queue(VIRTIO_NET(virtio_of(vf))->nic);
        nc->info->announce(nc);
    }
}

const char *staged_resume(PCIDevice *vf)
{
    Image *image = vf_state(vf)->staged;
    bool other = image != NULL;
    const char *why;

    if (image) {
        halt_open(vf);
        why = image_read_rings(vf, image);
        if (why) {
            halt_close(vf);
            return why;
        }
        image_apply(vf, image);
    }
    halt_end(vf);
    if (other) {
        announce(vf);
    }
    return NULL;
}

/* The source did them, and left it to us to say so. */
static void give_back(PCIDevice *vf, unsigned n)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtQueue *vq = virtio_get_queue(vdev, n);
    VirtQueueElement *e;

    while ((e = virtqueue_pop(vq, sizeof(*e)))) {
        virtqueue_push(vq, e, iov_size(e->in_sg, e->in_num));
        g_free(e);
    }
    virtio_notify(vdev, vq);
}

static void do_again(PCIDevice *vf, unsigned n)
{
    virtio_queue_notify(virtio_of(vf), n);
}

void staged_replay(PCIDevice *vf)
{
    Image *image = vf_state(vf)->staged;

    for (unsigned n = 0; image && n < image->queues; n++) {
        const QueueImage *q = &image->queue[n];
        uint16_t first = q->used_index;

        if (q->completed_count) {
            tap_replay(vf, n, first, q->completed, q->completed_count,
                       give_back);
        }
        if (q->in_flight_count) {
            tap_replay(vf, n, first + q->completed_count, q->in_flight,
                       q->in_flight_count, do_again);
        }
    }
    staged_forget(vf);
}
