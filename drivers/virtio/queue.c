/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/queue.h"

#include "drivers/virtio/registers.h"
#include "vmm/console/log.h"
#include "vmm/mem/map.h"

#include <string.h>

#define DESC_NEXT          1U
#define DESC_WRITE         2U
#define AVAIL_NO_INTERRUPT 1U
#define DOORBELL_WIDTH     2U
#define QUEUE_SIZE_MIN     2U /* descriptors of one buffer */

/* The largest power of two that the device and the rings can do, 0 when that is too little. */
static uint16_t choose_size(uint32_t max)
{
    uint32_t size = VIRTQUEUE_SIZE_MAX;

    while (size > max) {
        size /= 2;
    }
    return size >= QUEUE_SIZE_MIN ? (uint16_t)size : 0;
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

enum status virtqueue_submit(struct virtqueue *queue, struct virtqueue_part readable,
                             struct virtqueue_part writable)
{
    volatile struct virtqueue_rings *rings = queue->rings;

    if (used_index(queue) != queue->done) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    rings->desc[0].address = readable.iova;
    rings->desc[0].length = readable.length;
    rings->desc[0].flags = DESC_NEXT;
    rings->desc[0].next = 1;
    rings->desc[1].address = writable.iova;
    rings->desc[1].length = writable.length;
    rings->desc[1].flags = DESC_WRITE;
    rings->desc[1].next = 0;
    rings->avail.ring[queue->added % queue->size] = 0;
    queue->room = writable.length;
    queue->added++;
    __atomic_store_n(&rings->avail.index, queue->added, __ATOMIC_RELEASE);
    /* The doorbell is uncached: x86 makes the stores before it visible first. */
    virtio_register_write(queue->doorbell, DOORBELL_WIDTH, queue->index);
    return STATUS_OK;
}

enum status virtqueue_poll(struct virtqueue *queue, uint32_t *length)
{
    uint16_t index = used_index(queue);
    uint32_t id, written;

    if (index == queue->done) {
        return STATUS_STATE; /* not noted: it is no failure */
    }
    id = queue->rings->used.ring[queue->done % queue->size].id;
    written = queue->rings->used.ring[queue->done % queue->size].length;
    if (index != queue->added || id != 0 || written > queue->room) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    queue->done++;
    *length = written;
    return STATUS_OK;
}
