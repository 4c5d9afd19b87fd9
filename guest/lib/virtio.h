/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Legacy virtio PCI devices, driven by their ports as drivers did before 2014: virtio 0.9.5 and
 * virtio 1.3, 4.1.4.10. One queue at a time, one request at a time.
 */
#ifndef PORTOLAN_GUEST_LIB_VIRTIO_H
#define PORTOLAN_GUEST_LIB_VIRTIO_H

#include "guest/lib/guest.h"

enum virtio_port {
    VIRTIO_HOST_FEATURES = 0x00,
    VIRTIO_GUEST_FEATURES = 0x04,
    VIRTIO_QUEUE_PFN = 0x08,
    VIRTIO_QUEUE_SIZE = 0x0c,
    VIRTIO_QUEUE_SELECT = 0x0e,
    VIRTIO_QUEUE_NOTIFY = 0x10,
    VIRTIO_STATUS = 0x12,
    VIRTIO_ISR = 0x13,
    VIRTIO_CONFIG_VECTOR = 0x14, /* with MSI-X enabled only */
    VIRTIO_QUEUE_VECTOR = 0x16,
};

#define VIRTIO_ACKNOWLEDGE 1
#define VIRTIO_DRIVER      2
#define VIRTIO_DRIVER_OK   4
#define VIRTIO_NO_VECTOR   0xffff

#define VIRTIO_NEXT     1 /* flags of a descriptor */
#define VIRTIO_WRITE    2
#define VIRTIO_INDIRECT 4

#define VIRTIO_NO_INTERRUPT 1 /* flag of the available ring */

struct virtio_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct virtio_available {
    uint16_t flags, index, ring[];
};

struct virtio_used {
    uint16_t flags;
    volatile uint16_t index;
    struct {
        uint32_t id, length;
    } ring[];
};

struct virtio_queue {
    uint16_t number, size, seen;
    volatile struct virtio_descriptor *descriptor;
    volatile struct virtio_available *available;
    volatile struct virtio_used *used;
};

struct virtio_device {
    uint32_t function; /* in the form of CF8h, without the enable bit */
    unsigned slot;
    uint16_t base;   /* of its ports */
    uint64_t memory; /* of its MSI-X table */
    uint8_t msix;    /* the capability; 0: none */
    uint8_t line;
    bool msix_on;
};

uint32_t pci_read(uint32_t function, uint8_t offset);
void pci_write(uint32_t function, uint8_t offset, uint32_t value);

/* The first device with PCI device id DEVICE of vendor 1AF4h; the first from SLOT on. */
bool virtio_find(uint16_t device, struct virtio_device *virtio);
bool virtio_find_from(unsigned slot, uint16_t device, struct virtio_device *virtio);

/* Status 0, then read the ISR, as all drivers do. */
void virtio_reset(const struct virtio_device *virtio);

/* Queue NUMBER in MEMORY, page-aligned and zeroed here, of BYTES. False: absent, in use, too big.
 */
bool virtio_set_up_queue(const struct virtio_device *virtio, uint16_t number, void *memory,
                         size_t bytes, struct virtio_queue *queue);

/* The same in memory only: the device is not told. And the page number that it wants to be told. */
bool virtio_lay_out_queue(uint16_t number, size_t size, void *memory, size_t bytes,
                          struct virtio_queue *queue);
uint32_t virtio_page(const struct virtio_queue *queue);

/* Fill in descriptor INDEX of TABLE; the next one of its chain, if any, is INDEX + 1. */
void virtio_describe(volatile struct virtio_descriptor *table, uint16_t index,
                     volatile const void *at, size_t length, uint16_t flags);

/* Put the chain that begins at descriptor HEAD into the ring; notify; both. */
void virtio_put(struct virtio_queue *queue, uint16_t head);
void virtio_notify(const struct virtio_device *virtio, const struct virtio_queue *queue);
void virtio_offer(const struct virtio_device *virtio, struct virtio_queue *queue, uint16_t head);

/* Has the device used a chain since the last time? *HEAD: which; *LENGTH: what it wrote. */
bool virtio_take_chain(struct virtio_queue *queue, uint16_t *head, uint32_t *length);
bool virtio_take(struct virtio_queue *queue, uint32_t *length);

/* Entry INDEX of the MSI-X table: VECTOR to the CPU with APIC id TARGET, unmasked. */
void virtio_msix_set(const struct virtio_device *virtio, unsigned index, uint8_t vector,
                     uint8_t target);
void virtio_msix_enable(struct virtio_device *virtio, bool on);

/* Where device configuration begins now. */
uint16_t virtio_config(const struct virtio_device *virtio);

#endif
