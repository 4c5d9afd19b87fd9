/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy interface of virtio devices as tables: registers (virtio 1.3, 4.1.4.10), PCI identity
 * (4.1.2.3), and the device configuration of the seven transitional types (chapter 5).
 */
#ifndef PORTOLAN_VMM_LEGACY_REGISTER_LAYOUT_H
#define PORTOLAN_VMM_LEGACY_REGISTER_LAYOUT_H

#include "vmm/base/types.h"

/* Offsets in the legacy header. */
enum legacy_register {
    LEGACY_HOST_FEATURES = 0x00,
    LEGACY_GUEST_FEATURES = 0x04,
    LEGACY_QUEUE_PFN = 0x08,
    LEGACY_QUEUE_SIZE = 0x0c,
    LEGACY_QUEUE_SELECT = 0x0e,
    LEGACY_QUEUE_NOTIFY = 0x10,
    LEGACY_STATUS = 0x12,
    LEGACY_ISR = 0x13,
    LEGACY_CONFIG_VECTOR = 0x14, /* this one and the next only while MSI-X is enabled */
    LEGACY_QUEUE_VECTOR = 0x16
};

#define LEGACY_HEADER_INTX 0x14U /* where device configuration starts with MSI-X disabled */
#define LEGACY_HEADER_MSIX 0x18U /* and with MSI-X enabled */

#define LEGACY_NO_VECTOR 0xffffU

#define LEGACY_STATUS_DRIVER    0x02U
#define LEGACY_STATUS_DRIVER_OK 0x04U
/* Bits that exist (5.2.1). The others are never written, so that FFh means "nobody is there". */
#define LEGACY_STATUS_BITS 0xcfU

#define LEGACY_ISR_QUEUE  0x01U
#define LEGACY_ISR_CONFIG 0x02U

/* Bit 31 was once planned to announce more feature bits, which no device has. */
#define LEGACY_FEATURES 0x7fffffffU

/* A run of COUNT elements of WIDTH bytes each. What is 8 bytes wide is two elements of 4. */
struct legacy_field {
    uint8_t offset;
    uint8_t count;
    uint8_t width;
};

struct legacy_type {
    uint16_t type;      /* virtio device id */
    uint16_t device;    /* PCI device id for the guest */
    uint16_t pci_class; /* base class << 8 | sub-class */
    uint8_t config_length;
    uint8_t field_count;
    const struct legacy_field *fields; /* ascending, without gaps */
};

/* NULL: not one of the seven transitional types. */
const struct legacy_type *legacy_type_find(uint16_t type);

#endif
