/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/virtio.h"

#include <string.h>

#define ADDRESS      0xcf8
#define DATA         0xcfc
#define ENABLE       0x80000000U
#define VENDOR       0x1af4
#define COMMAND      0x04
#define COMMAND_IO   1U
#define COMMAND_MEM  2U
#define BAR0         0x10
#define BAR1         0x14
#define CAPABILITIES 0x34
#define LINE         0x3c
#define CAP_MSIX     0x11
#define MSIX_ENABLE  0x80000000U
#define SLOT_SHIFT   11
#define PAGE         4096U

uint32_t pci_read(uint32_t function, uint8_t offset)
{
    outl(ADDRESS, ENABLE | function | offset);
    return inl(DATA);
}

void pci_write(uint32_t function, uint8_t offset, uint32_t value)
{
    outl(ADDRESS, ENABLE | function | offset);
    outl(DATA, value);
}

static uint8_t find_msix(uint32_t function)
{
    uint8_t at = (uint8_t)pci_read(function, CAPABILITIES);

    for (unsigned i = 0; i < 48 && at != 0; i++) {
        uint32_t word = pci_read(function, at & 0xfc);

        if ((word & 0xff) == CAP_MSIX) {
            return at;
        }
        at = (uint8_t)(word >> 8);
    }
    return 0;
}

bool virtio_find(uint16_t device, struct virtio_device *virtio)
{
    return virtio_find_from(0, device, virtio);
}

bool virtio_find_from(unsigned slot, uint16_t device, struct virtio_device *virtio)
{
    for (; slot < 32; slot++) {
        uint32_t function = slot << SLOT_SHIFT;

        if (pci_read(function, 0) == ((uint32_t)device << 16 | VENDOR)) {
            /* No bus mastering: drivers before Linux 2.6.34 never asked for it. */
            pci_write(function, COMMAND, COMMAND_IO | COMMAND_MEM);
            *virtio = (struct virtio_device){
                .function = function,
                .slot = slot,
                .base = (uint16_t)(pci_read(function, BAR0) & ~3U),
                .memory = pci_read(function, BAR1) & ~15U,
                .msix = find_msix(function),
                .line = (uint8_t)pci_read(function, LINE),
            };
            return true;
        }
    }
    return false;
}

void virtio_reset(const struct virtio_device *virtio)
{
    outb((uint16_t)(virtio->base + VIRTIO_STATUS), 0);
    (void)inb((uint16_t)(virtio->base + VIRTIO_ISR));
}

bool virtio_lay_out_queue(uint16_t number, size_t size, void *memory, size_t bytes,
                          struct virtio_queue *queue)
{
    uintptr_t at = (uintptr_t)memory;
    size_t used = (size * 18 + 6 + PAGE - 1) & ~(size_t)(PAGE - 1);

    if (size == 0 || used + size * 8 + 6 > bytes) {
        return false;
    }
    memset(memory, 0, bytes);
    *queue = (struct virtio_queue){
        .number = number,
        .size = (uint16_t)size,
        .descriptor = memory,
        .available = (volatile void *)(at + size * 16),
        .used = (volatile void *)(at + used),
    };
    return true;
}

uint32_t virtio_page(const struct virtio_queue *queue)
{
    return (uint32_t)((uintptr_t)queue->descriptor / PAGE);
}

bool virtio_set_up_queue(const struct virtio_device *virtio, uint16_t number, void *memory,
                         size_t bytes, struct virtio_queue *queue)
{
    uint16_t base = virtio->base;

    outw((uint16_t)(base + VIRTIO_QUEUE_SELECT), number);
    size_t size = inw((uint16_t)(base + VIRTIO_QUEUE_SIZE));

    if (inl((uint16_t)(base + VIRTIO_QUEUE_PFN)) != 0 ||
        !virtio_lay_out_queue(number, size, memory, bytes, queue)) {
        return false;
    }
    outl((uint16_t)(base + VIRTIO_QUEUE_PFN), virtio_page(queue));
    return true;
}

void virtio_describe(volatile struct virtio_descriptor *table, uint16_t index,
                     volatile const void *at, size_t length, uint16_t flags)
{
    table[index].address = (uint64_t)at;
    table[index].length = (uint32_t)length;
    table[index].flags = flags;
    table[index].next = (uint16_t)(index + 1);
}

void virtio_put(struct virtio_queue *queue, uint16_t head)
{
    uint16_t index = queue->available->index;

    queue->available->ring[index % queue->size] = head;
    __asm__ volatile("" ::: "memory");
    queue->available->index = (uint16_t)(index + 1);
    __asm__ volatile("mfence" ::: "memory");
}

void virtio_notify(const struct virtio_device *virtio, const struct virtio_queue *queue)
{
    outw((uint16_t)(virtio->base + VIRTIO_QUEUE_NOTIFY), queue->number);
}

void virtio_offer(const struct virtio_device *virtio, struct virtio_queue *queue, uint16_t head)
{
    virtio_put(queue, head);
    virtio_notify(virtio, queue);
}

bool virtio_take_chain(struct virtio_queue *queue, uint16_t *head, uint32_t *length)
{
    if (queue->used->index == queue->seen) {
        return false;
    }
    *head = (uint16_t)queue->used->ring[queue->seen % queue->size].id;
    *length = queue->used->ring[queue->seen % queue->size].length;
    queue->seen++;
    return true;
}

bool virtio_take(struct virtio_queue *queue, uint32_t *length)
{
    uint16_t head;

    return virtio_take_chain(queue, &head, length);
}

void virtio_msix_set(const struct virtio_device *virtio, unsigned index, uint8_t vector,
                     uint8_t target)
{
    uint64_t entry = virtio->memory + (uint64_t)index * 16;

    mmio_write(entry, 0xfee00000U | (uint32_t)target << 12);
    mmio_write(entry + 4, 0);
    mmio_write(entry + 8, vector);
    mmio_write(entry + 12, 0);
}

void virtio_msix_enable(struct virtio_device *virtio, bool on)
{
    uint32_t word = pci_read(virtio->function, virtio->msix);

    pci_write(virtio->function, virtio->msix, on ? word | MSIX_ENABLE : word & ~MSIX_ENABLE);
    virtio->msix_on = on;
}

uint16_t virtio_config(const struct virtio_device *virtio)
{
    return (uint16_t)(virtio->base + (virtio->msix_on ? 0x18 : 0x14));
}
