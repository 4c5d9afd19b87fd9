/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The modern PCI transport of a virtio function that the VMM itself drives: a PF.
 * Virtio 1.3, sections 3.1 and 4.1.
 *
 * Nothing here is locked: one CPU brings a function up or down.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_TRANSPORT_H
#define PORTOLAN_DRIVERS_VIRTIO_TRANSPORT_H

#include "drivers/virtio/device.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

/* Where a function's BAR is. size 0: there is none, or it has no address. */
struct virtio_bar {
    hpa_t base;
    uint64_t size;
};

/* Registers of the common configuration structure, section 4.1.4.3. */
enum virtio_common_register {
    VIRTIO_COMMON_DEVICE_FEATURE_SELECT = 0,
    VIRTIO_COMMON_DEVICE_FEATURE = 4,
    VIRTIO_COMMON_DRIVER_FEATURE_SELECT = 8,
    VIRTIO_COMMON_DRIVER_FEATURE = 12,
    VIRTIO_COMMON_CONFIG_VECTOR = 16,
    VIRTIO_COMMON_NUM_QUEUES = 18,
    VIRTIO_COMMON_STATUS = 20,
    VIRTIO_COMMON_GENERATION = 21,
    VIRTIO_COMMON_QUEUE_SELECT = 22,
    VIRTIO_COMMON_QUEUE_SIZE = 24,
    VIRTIO_COMMON_QUEUE_VECTOR = 26,
    VIRTIO_COMMON_QUEUE_ENABLE = 28,
    VIRTIO_COMMON_QUEUE_NOTIFY_OFF = 30,
    VIRTIO_COMMON_QUEUE_DESC = 32,
    VIRTIO_COMMON_QUEUE_DRIVER = 40,
    VIRTIO_COMMON_QUEUE_DEVICE = 48,
    VIRTIO_COMMON_SIZE = 56, /* what every device has */
    VIRTIO_COMMON_ADMIN_INDEX = 60,
    VIRTIO_COMMON_ADMIN_NUM = 62,
    VIRTIO_COMMON_SIZE_ADMIN = 64
};

#define VIRTIO_NO_VECTOR 0xffffU

#define VIRTIO_STATUS_ACKNOWLEDGE 0x01U
#define VIRTIO_STATUS_DRIVER      0x02U
#define VIRTIO_STATUS_DRIVER_OK   0x04U
#define VIRTIO_STATUS_FEATURES_OK 0x08U
#define VIRTIO_STATUS_NEEDS_RESET 0x40U
#define VIRTIO_STATUS_GONE        0xffU /* as read from a device that does not answer */

#define VIRTIO_F_VERSION_1       (1ULL << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ULL << 33)
#define VIRTIO_F_ORDER_PLATFORM  (1ULL << 36)
#define VIRTIO_F_SR_IOV          (1ULL << 37)
#define VIRTIO_F_ADMIN_VQ        (1ULL << 41)
/* Of 2021: docs/migration-abi.md, 3.1. Modes count from 1. */
#define VIRTIO_F_MIGRATION   (1ULL << 44)
#define VIRTIO_F_TRACK(mode) (1ULL << (45 + (mode)))
#define VIRTIO_F_TRACK_ALL   (0xfULL << 46)

struct virtio_transport {
    bdf_t bdf;
    uint8_t *common;
    uint8_t *device; /* NULL: there is no device configuration */
    uint32_t common_length;
    uint32_t device_length;
    hpa_t notify; /* is mapped a doorbell at a time */
    uint32_t notify_length;
    uint32_t notify_multiplier;
    uint64_t features; /* accepted; valid after virtio_transport_negotiate() */
};

/*
 * Map the structures REGIONS of BDF, whose BARS are PCI_BARS_MAX in number. DEVICE, with a warning,
 * when one that is needed is missing, misaligned or outside its BAR; NO_MEMORY: no window.
 * Nothing stays mapped on failure. The function's memory space must be on.
 */
enum status virtio_transport_map(struct virtio_transport *transport, bdf_t bdf,
                                 const struct virtio_regions *regions,
                                 const struct virtio_bar *bars);

/* Undo virtio_transport_map(). */
void virtio_transport_unmap(struct virtio_transport *transport);

/*
 * Reset, and wait until the device says that it is done: only then does it no longer touch memory.
 * TIMEOUT: it never did (5 s); DEVICE: it is gone. Section 4.1.4.3.2.
 */
enum status virtio_transport_reset(const struct virtio_transport *transport);

/* The features that the device offers. */
uint64_t virtio_transport_offered(const struct virtio_transport *transport);

/*
 * Go from reset to FEATURES_OK with what is offered of NEEDED and WANTED. UNSUPPORTED, with a
 * warning, when a feature of NEEDED is not offered; DEVICE when the device refuses the set. Section
 * 3.1.1, steps 2 to 6.
 */
enum status virtio_transport_negotiate(struct virtio_transport *transport, uint64_t needed,
                                       uint64_t wanted);

/* Set DRIVER_OK; DEVICE when the device does not take it. */
enum status virtio_transport_start(const struct virtio_transport *transport);

/* Does the device answer, and without asking for a reset? */
bool virtio_transport_alive(const struct virtio_transport *transport);

/*
 * Read COUNT fields of UNIT = 1, 2 or 4 bytes, one after the other from OFFSET of the device
 * configuration on, into BUFFER, all from one state of the configuration (halves of 64-bit fields
 * are fields here). RANGE: there are no such bytes; DEVICE: it never stopped changing. Section
 * 2.5.1.
 */
enum status virtio_transport_config(const struct virtio_transport *transport, uint32_t offset,
                                    unsigned unit, unsigned count, void *buffer);

/* Registers of the common configuration; 64-bit ones are written in halves. */
uint32_t virtio_common_read(const struct virtio_transport *transport,
                            enum virtio_common_register reg, unsigned width);
void virtio_common_write(const struct virtio_transport *transport, enum virtio_common_register reg,
                         unsigned width, uint32_t value);
void virtio_common_write64(const struct virtio_transport *transport,
                           enum virtio_common_register reg, uint64_t value);

#endif
