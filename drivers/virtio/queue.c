/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/queue.h"

#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"

#include <string.h>

#define DESC_NEXT          1U
#define DESC_WRITE         2U
#define AVAIL_NO_INTERRUPT 1U
#define DOORBELL_WIDTH     2U
#define DESCS_MIN          2U /* a request and its answer */

/* The largest power of two that the device and the rings can do, 0 when that is too little. */
static uint16_t choose_size(uint32_t max)
{
    uint32_t size = VIRTQUEUE_SIZE_MAX;

    while (size > max) {
        size /= 2;
    }
    return size >= DESCS_MIN ? (uint16_t)size : 0;
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
    queue->free = UINT64_MAX >> (VIRTQUEUE_SIZE_MAX - queue->size);
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

bool virtqueue_has_room(const struct virtqueue *queue, unsigned count)
{
    return bit_count(queue->free) >= count;
}

/* Take the lowest free descriptor. */
static unsigned take_desc(struct virtqueue *queue)
{
    unsigned desc = (unsigned)__builtin_ctzll(queue->free);

    queue->free &= queue->free - 1;
    return desc;
}

unsigned virtqueue_submit(struct virtqueue *queue, const struct virtqueue_part *parts,
                          unsigned count)
{
    volatile struct virtqueue_rings *rings = queue->rings;
    unsigned head = take_desc(queue), at = head;

    queue->chain[head] = 0;
    queue->room[head] = 0;
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        unsigned next = last ? 0 : take_desc(queue);

        rings->desc[at].address = parts[i].iova;
        rings->desc[at].length = parts[i].length;
        rings->desc[at].flags =
            (uint16_t)((parts[i].writable ? DESC_WRITE : 0) | (last ? 0 : DESC_NEXT));
        rings->desc[at].next = (uint16_t)next;
        queue->chain[head] |= 1ULL << at;
        queue->room[head] += parts[i].writable ? parts[i].length : 0;
        at = next;
    }
    queue->heads |= 1ULL << head;
    rings->avail.ring[queue->added % queue->size] = (uint16_t)head;
    queue->added++;
    __atomic_store_n(&rings->avail.index, queue->added, __ATOMIC_RELEASE);
    /* The doorbell is uncached: x86 makes the stores before it visible first. */
    mmio_write(queue->doorbell, DOORBELL_WIDTH, queue->index);
    return head;
}

enum status virtqueue_take(struct virtqueue *queue, unsigned *head, uint32_t *length)
{
    uint16_t index = __atomic_load_n(&queue->rings->used.index, __ATOMIC_ACQUIRE);

    if (index == queue->done) {
        return STATUS_STATE;
    }
    /* Each read once: the device can change them while they are checked. */
    uint32_t id =
        __atomic_load_n(&queue->rings->used.ring[queue->done % queue->size].id, __ATOMIC_RELAXED);
    uint32_t written = __atomic_load_n(&queue->rings->used.ring[queue->done % queue->size].length,
                                       __ATOMIC_RELAXED);

    if ((uint16_t)(index - queue->done) > (uint16_t)(queue->added - queue->done) ||
        id >= queue->size || !(queue->heads & 1ULL << id) || written > queue->room[id]) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    queue->heads &= ~(1ULL << id);
    queue->free |= queue->chain[id];
    queue->done++;
    *head = id;
    *length = written;
    return STATUS_OK;
}
