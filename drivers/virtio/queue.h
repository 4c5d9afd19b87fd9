/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A split virtqueue, polled. Virtio 1.3, section 2.7. Several buffers may be with the device; each
 * is known by its head, the first of its descriptors.
 *
 * The device writes the used ring; whatever it writes there is checked. Not locked: its owner does
 * that.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_QUEUE_H
#define PORTOLAN_DRIVERS_VIRTIO_QUEUE_H

#include "drivers/virtio/transport.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define VIRTQUEUE_SIZE_MAX 64U /* one word has a bit for each descriptor */

/*
 * Memory that a device may read and write: SIZE bytes at VA, in whole pages, which the device
 * reaches at IOVA. Without an IOMMU, or where the function's domain maps it so, iova is the
 * host-physical address.
 */
struct virtio_dma {
    void *va;
    uint64_t iova;
    uint64_t size;
};

struct virtqueue_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct virtqueue_avail {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[VIRTQUEUE_SIZE_MAX];
    uint16_t used_event; /* not negotiated */
};

struct virtqueue_used {
    uint16_t flags;
    uint16_t index;
    struct {
        uint32_t id;
        uint32_t length;
    } ring[VIRTQUEUE_SIZE_MAX];
    uint16_t avail_event;
};

/* All that a queue has in memory; section 2.7 for the alignments. */
struct virtqueue_rings {
    struct virtqueue_desc desc[VIRTQUEUE_SIZE_MAX];
    struct virtqueue_avail avail;
    struct virtqueue_used used;
};

_Static_assert(sizeof(struct virtqueue_desc) == 16, "virtio 1.3, section 2.7.5");
_Static_assert(offsetof(struct virtqueue_rings, used) % 4 == 0, "virtio 1.3, section 2.7");
_Static_assert(sizeof(struct virtqueue_rings) <= PAGE_SIZE, "one page of DMA memory");

struct virtqueue {
    volatile struct virtqueue_rings *rings;
    uint8_t *doorbell;
    uint64_t free;                      /* descriptors in no buffer */
    uint64_t heads;                     /* of buffers that the device has */
    uint64_t chain[VIRTQUEUE_SIZE_MAX]; /* by head: the buffer's descriptors */
    uint32_t room[VIRTQUEUE_SIZE_MAX];  /* by head: bytes that the device may write */
    uint16_t index;                     /* of the queue in its device */
    uint16_t size;
    uint16_t added; /* buffers so far, as in the available ring's index */
    uint16_t done;  /* of these, used */
};

/* A part of a buffer, by the device's addresses. */
struct virtqueue_part {
    uint64_t iova;
    uint32_t length; /* > 0 */
    bool writable;   /* by the device; such parts come last */
};

/*
 * Set up queue INDEX of TRANSPORT, which is past FEATURES_OK and before DRIVER_OK, with its rings
 * in the first page of MEMORY, and map its doorbell. DEVICE, with a warning, when what the device
 * says of the queue makes no sense; NO_MEMORY: no window. Section 4.1.5.1.3.
 */
enum status virtqueue_set_up(struct virtqueue *queue, const struct virtio_transport *transport,
                             uint16_t index, const struct virtio_dma *memory);

/* Unmap the doorbell. The rings' memory stays the device's until it is reset. */
void virtqueue_release(struct virtqueue *queue);

/* Are there descriptors for a buffer of COUNT parts? */
bool virtqueue_has_room(const struct virtqueue *queue, unsigned count);

/* Give the device a buffer of COUNT > 0 PARTS, for which there is room. Returns its head. */
unsigned virtqueue_submit(struct virtqueue *queue, const struct virtqueue_part *parts,
                          unsigned count);

/*
 * The next buffer that the device has used, in its order: OK, with the *HEAD, and the number of
 * bytes the device says that it wrote (at most the writable parts'); its memory is the caller's
 * again. STATE, not noted: there is none; DEVICE: the used ring is nonsense, and nothing of the
 * queue can be trusted any more.
 */
enum status virtqueue_take(struct virtqueue *queue, unsigned *head, uint32_t *length);

#endif
