/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <string.h>
#include <unistd.h>

#define PLACE      0x10000U /* of a queue in memory */
#define PAGE       4096U
#define DESC_NEXT  1U
#define DESC_WRITE 2U
#define POLL_US    1000U

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct used_element {
    uint32_t id, length;
};

uint32_t iova_of(const void *at)
{
    return MEMORY_IOVA + (uint32_t)((const uint8_t *)at - memory);
}

/* The layout: descriptors, available ring; on the next page the used ring. */
static volatile uint16_t *available_ring(const struct queue *queue)
{
    return (volatile uint16_t *)(void *)(queue->base + sizeof(struct descriptor) * queue->size);
}

static uint8_t *used_ring(const struct queue *queue)
{
    size_t end = sizeof(struct descriptor) * queue->size + 2 * ((size_t)3 + queue->size);

    return queue->base + (end + PAGE - 1) / PAGE * PAGE;
}

void queue_init(struct queue *queue, uint16_t index, uint16_t size)
{
    if (!size || size & (size - 1) || size > 1024) {
        fail("queue %u has %u descriptors", index, size);
    }
    *queue = (struct queue){.index = index, .size = size, .base = memory + (size_t)index * PLACE};
    memset(queue->base, 0, PLACE);
}

uint32_t queue_descriptors(const struct queue *queue)
{
    return iova_of(queue->base);
}

uint32_t queue_available(const struct queue *queue)
{
    return iova_of(queue->base + sizeof(struct descriptor) * queue->size);
}

uint32_t queue_used(const struct queue *queue)
{
    return iova_of(used_ring(queue));
}

uint16_t queue_post(struct queue *queue, const struct part *parts, unsigned count)
{
    struct descriptor *descriptors = (struct descriptor *)(void *)queue->base;
    volatile uint16_t *ring = available_ring(queue);
    uint16_t head = (uint16_t)(queue->posted % (queue->size / PARTS_MAX) * PARTS_MAX);

    for (unsigned i = 0; i < count; i++) {
        descriptors[head + i] = (struct descriptor){
            .address = iova_of(parts[i].at),
            .length = parts[i].size,
            .flags = (uint16_t)((parts[i].device_writes ? DESC_WRITE : 0) |
                                (i + 1 < count ? DESC_NEXT : 0)),
            .next = (uint16_t)(head + i + 1),
        };
    }
    ring[2 + queue->posted % queue->size] = head;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring[1] = ++queue->posted;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return head;
}

uint16_t queue_used_index(const struct queue *queue)
{
    volatile uint16_t *ring = (volatile uint16_t *)(void *)used_ring(queue);

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring[1];
}

uint16_t queue_wait(struct queue *queue, uint32_t *length)
{
    const struct used_element *elements = (const void *)(used_ring(queue) + 4);
    const struct used_element *element = &elements[queue->seen % queue->size];

    while (queue_used_index(queue) == queue->seen) {
        (void)usleep(POLL_US); /* for ever: who runs the test ends it */
    }
    queue->seen++;
    *length = element->length;
    return (uint16_t)element->id;
}
