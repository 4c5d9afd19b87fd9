/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest wrote to a legacy virtio function and what it can read there, apart from what only
 * the VF knows: plain data, described by the rows of legacy_section. What the function holds of the
 * VF and of the VMM (doorbell, ports, vectors, locks) is its binding: vmm/legacy/legacy.h.
 *
 * Features, ring addresses and queue sizes are kept as they are written, since not every VF lets
 * them be read back.
 */
#ifndef PORTOLAN_VMM_LEGACY_LEGACY_STATE_H
#define PORTOLAN_VMM_LEGACY_LEGACY_STATE_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define LEGACY_QUEUES_MAX    256U /* of one function; queues beyond look absent */
#define LEGACY_VECTORS_MAX   128U /* shown to a guest; a VF may have more */
#define LEGACY_CONFIG_SIZE   256U
#define LEGACY_DEVICE_CONFIG 232U /* what of it fits the largest I/O BAR */

#define LEGACY_VECTOR_WORDS (LEGACY_VECTORS_MAX / 64)
#define LEGACY_QUEUE_WORDS  (LEGACY_QUEUES_MAX / 64)

struct legacy_msix_entry {
    uint64_t address;
    uint32_t data;
    uint32_t control; /* bit 0: masked */
};

struct legacy_queue {
    uint32_t pfn;    /* 0: no ring */
    uint16_t size;   /* as the VF said when it was needed; 0: not asked yet, or absent */
    uint16_t vector; /* as the guest wrote it */
};

struct legacy_state {
    uint8_t config[LEGACY_CONFIG_SIZE]; /* PCI; under the pc lock */

    /* Under the registers lock. */
    uint8_t lost;       /* the VF is out of order; set once until legacy_reset(); atomic */
    uint8_t status;     /* as last written */
    uint8_t bus_master; /* of the VF */
    uint16_t select;    /* these as the guest wrote them */
    uint16_t config_vector;
    uint32_t features;
    struct legacy_queue queue[LEGACY_QUEUES_MAX];
    uint8_t device_config[LEGACY_DEVICE_CONFIG];  /* what the guest wrote; 0: nothing, ... */
    uint8_t device_written[LEGACY_DEVICE_CONFIG]; /* ... unless this is 1 */

    /* Under the interrupt lock. */
    uint8_t isr; /* synthetic */
    struct legacy_msix_entry table[LEGACY_VECTORS_MAX];
    uint64_t pending[LEGACY_VECTOR_WORDS]; /* the PBA */
    uint64_t arrived[LEGACY_VECTOR_WORDS]; /* of the VF while it was paused; by legacy_save() */
};

extern const struct section legacy_section; /* of struct legacy_state */

#endif
