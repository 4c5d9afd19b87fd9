/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of virtio device this plugin offers.
 */
#ifndef PORTOLAN_FAMILIES_H
#define PORTOLAN_FAMILIES_H

#include "qom/object.h"

/* One register; accesses of a legacy driver stay inside one. */
typedef struct Field {
    uint16_t offset;
    uint16_t size;
    uint16_t unit;      /* width of an element: less than size in an array */
} Field;

typedef struct BackendOps BackendOps;

typedef struct Family {
    const char *pf_type;
    const char *vf_type;
    const char *parent;             /* QEMU's own virtio-*-pci */
    size_t parent_size;             /* of its instance, which is private */
    uint16_t virtio_id;
    uint16_t mmr_device_id;         /* of a VF with a legacy block */
    uint32_t pf_vectors;            /* one more than its queues need */
    const char *queue_size_property;    /* NULL: fixed in QEMU */
    const char *queues_property;        /* NULL: fixed in QEMU */
    const BackendOps *backend;
    const Field *config;            /* device configuration, by offset */
    unsigned config_fields;
} Family;

extern const Family families[];
extern const unsigned family_count;

const Family *family_of(void *function);

/* The field of FIELDS that holds OFFSET, or NULL. */
const Field *field_at(const Field *fields, unsigned count, unsigned offset);

#endif
