/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/queue.h"

#include "drivers/virtio/registers.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"

#include <string.h>

#define DESC_NEXT          1U
#define DESC_WRITE         2U
#define AVAIL_NO_INTERRUPT 1U
#define DOORBELL_WIDTH     2U
#define DESCS_OF_SLOT      2U

/* The largest power of two that the device and the rings can do, 0 when that is too little. */
static uint16_t choose_size(uint32_t max)
{
    uint32_t size = VIRTQUEUE_SIZE_MAX;

    while (size > max) {
        size /= 2;
    }
    return size >= DESCS_OF_SLOT ? (uint16_t)size : 0;
}

/* Map the doorbell of the selected queue. Section 4.1.4.4. */
static enum status map_doorbell(struct virtqueue *queue, const struct virtio_transport *transport)
{
    uint32_t number = virtio_common_read(transport, VIRTIO_COMMON_QUEUE_NOTIFY_OFF, 2);
    uint64_t offset = (uint64_t)number * transport->notify_multiplier;

    if (offset % DOORBELL_WIDTH != 0 ||
        !range_fits(offset, DOORBELL_WIDTH, transport->notify_length)) {
        log_warn("virtio " BDF_FORMAT ": the doorbell of queue %u, at %#lx of %#x bytes, is not "
                 "in the notify structure",
                 BDF_ARGS(transport->bdf), queue->index, offset, transport->notify_length);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    queue->doorbell = map_physical(hpa(transport->notify.raw + offset), DOORBELL_WIDTH, MAP_DEVICE);
    return queue->doorbell != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

/* Tell the device where the rings are, and switch the queue on. */
static enum status enable(const struct virtqueue *queue, const struct virtio_transport *transport,
                          uint64_t iova)
{
    virtio_common_write(transport, VIRTIO_COMMON_QUEUE_VECTOR, 2, VIRTIO_NO_VECTOR);
    virtio_common_write64(transport, VIRTIO_COMMON_QUEUE_DESC,
                          iova + offsetof(struct virtqueue_rings, desc));
    virtio_common_write64(transport, VIRTIO_COMMON_QUEUE_DRIVER,
                          iova + offsetof(struct virtqueue_rings, avail));
    virtio_common_write64(transport, VIRTIO_COMMON_QUEUE_DEVICE,
                          iova + offsetof(struct virtqueue_rings, used));
    virtio_common_write(transport, VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
    if (virtio_common_read(transport, VIRTIO_COMMON_QUEUE_ENABLE, 2) != 1) {
        log_warn("virtio " BDF_FORMAT ": queue %u cannot be switched on", BDF_ARGS(transport->bdf),
                 queue->index);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

enum status virtqueue_set_up(struct virtqueue *queue, const struct virtio_transport *transport,
                             uint16_t index, const struct virtio_dma *memory)
{
    uint32_t max;
    enum status status;

    virtio_common_write(transport, VIRTIO_COMMON_QUEUE_SELECT, 2, index);
    max = virtio_common_read(transport, VIRTIO_COMMON_QUEUE_SIZE, 2);
    *queue = (struct virtqueue){.rings = memory->va, .index = index, .size = choose_size(max)};
    if (queue->size != 0) {
        virtio_common_write(transport, VIRTIO_COMMON_QUEUE_SIZE, 2, queue->size);
    }
    if (queue->size == 0 ||
        virtio_common_read(transport, VIRTIO_COMMON_QUEUE_SIZE, 2) != queue->size) {
        log_warn("virtio " BDF_FORMAT ": queue %u with %u entries cannot be used with %u",
                 BDF_ARGS(transport->bdf), index, max, queue->size);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    memset(memory->va, 0, sizeof(struct virtqueue_rings));
    queue->rings->avail.flags = AVAIL_NO_INTERRUPT;
    status = map_doorbell(queue, transport);
    if (status == STATUS_OK) {
        status = enable(queue, transport, memory->iova);
    }
    if (status != STATUS_OK) {
        virtqueue_release(queue);
    }
    return status;
}

void virtqueue_release(struct virtqueue *queue)
{
    if (queue->doorbell != NULL) {
        map_release(queue->doorbell, DOORBELL_WIDTH);
        queue->doorbell = NULL;
    }
}

static uint16_t used_index(const struct virtqueue *queue)
{
    return __atomic_load_n(&queue->rings->used.index, __ATOMIC_ACQUIRE);
}

/* The next buffer that the device has used. STATE, not noted: there is none. */
static enum status take_used(struct virtqueue *queue, unsigned *slot, uint32_t *length)
{
    uint16_t index = used_index(queue);

    if (index == queue->done) {
        return STATUS_STATE;
    }
    uint32_t id = queue->rings->used.ring[queue->done % queue->size].id;
    uint32_t written = queue->rings->used.ring[queue->done % queue->size].length;

    if ((uint16_t)(index - queue->done) > (uint16_t)(queue->added - queue->done) ||
        id >= queue->size || id % DESCS_OF_SLOT != 0 || !(queue->held & 1U << id / DESCS_OF_SLOT) ||
        written > queue->room[id / DESCS_OF_SLOT]) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    *slot = id / DESCS_OF_SLOT;
    *length = written;
    queue->held &= ~(1U << *slot);
    queue->done++;
    return STATUS_OK;
}

enum status virtqueue_choose(struct virtqueue *queue, unsigned *slot)
{
    uint32_t length;
    enum status status = STATUS_OK;

    while (status == STATUS_OK) { /* at most once for each slot that is held */
        status = take_used(queue, slot, &length);
    }
    if (status != STATUS_STATE) {
        return status;
    }
    for (*slot = 0; *slot < queue->size / DESCS_OF_SLOT; ++*slot) {
        if (!(queue->held & 1U << *slot)) {
            return STATUS_OK;
        }
    }
    return STATUS_NOTE(STATUS_NO_MEMORY);
}

void virtqueue_submit(struct virtqueue *queue, unsigned slot, struct virtqueue_part readable,
                      struct virtqueue_part writable)
{
    volatile struct virtqueue_rings *rings = queue->rings;
    uint16_t head = (uint16_t)(slot * DESCS_OF_SLOT);
    volatile struct virtqueue_desc *desc = &rings->desc[head];

    desc[0].address = readable.iova;
    desc[0].length = readable.length;
    desc[0].flags = DESC_NEXT;
    desc[0].next = (uint16_t)(head + 1);
    desc[1].address = writable.iova;
    desc[1].length = writable.length;
    desc[1].flags = DESC_WRITE;
    desc[1].next = 0;
    rings->avail.ring[queue->added % queue->size] = head;
    queue->room[slot] = writable.length;
    queue->held |= 1U << slot;
    queue->slot = slot;
    queue->added++;
    __atomic_store_n(&rings->avail.index, queue->added, __ATOMIC_RELEASE);
    /* The doorbell is uncached: x86 makes the stores before it visible first. */
    virtio_register_write(queue->doorbell, DOORBELL_WIDTH, queue->index);
}

enum status virtqueue_poll(struct virtqueue *queue, uint32_t *length)
{
    enum status status = STATUS_OK;
    unsigned slot = 0;

    while (status == STATUS_OK) { /* what comes late is passed over */
        status = take_used(queue, &slot, length);
        if (status == STATUS_OK && slot == queue->slot) {
            return STATUS_OK;
        }
    }
    return status;
}
