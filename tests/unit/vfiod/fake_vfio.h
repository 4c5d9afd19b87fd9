/* SPDX-License-Identifier: BSD-2-Clause */
/* tools/vfiod/vfio.h: a net VF with an I/O BAR 0, as Linux's virtio-vfio-pci shows one. */
#ifndef PORTOLAN_TESTS_UNIT_VFIOD_FAKE_VFIO_H
#define PORTOLAN_TESTS_UNIT_VFIOD_FAKE_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_VFIO_QUEUES  256U
#define FAKE_VFIO_NOTHING 2U

struct fake_vfio {
    uint32_t queues, vectors;
    uint16_t vendor;
    bool memory;      /* BAR 0 is no I/O BAR */
    unsigned refuses; /* to switch MSI-X off, or on; or NOTHING */
    uint32_t msix;    /* vectors; 0: off */
    unsigned resets;
    unsigned maps;
    uint16_t command, select, status;
    uint32_t pfn[FAKE_VFIO_QUEUES];
    unsigned notified[FAKE_VFIO_QUEUES];
    int event[128]; /* of each vector; -1 */
};

extern struct fake_vfio fake_vfio;

/* With so many queues and vectors, and as after a reset. */
void fake_vfio_start(uint32_t queues, uint32_t vectors);

#endif
