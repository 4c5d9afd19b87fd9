/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a VF that can be migrated reaches memory: all of its DMA and its
 * interrupt messages pass here, by IOVA.
 */
#ifndef PORTOLAN_TAP_H
#define PORTOLAN_TAP_H

#include "exec/memory.h"

#define TAP_QUEUES 128

/* Heads that the device finds in place of what the driver adds. */
typedef struct Replay {
    const uint16_t *heads;
    unsigned count;                 /* 0: none */
    unsigned queue;
    uint16_t first;                 /* index of the first */
} Replay;

typedef struct Tap {
    IOMMUMemoryRegion mr;
    AddressSpace *target;           /* the bus, or what the IOMMU makes of it */
    bool present;
    hwaddr address[TAP_QUEUES];     /* of each queue, as last seen */
    bool gate;                      /* the driver seems to add no buffers */
    bool closed;                    /* nothing passes */
    Replay replay;
    /* Pages that buffers the device has may be written to, by buffer. */
    GHashTable *open;
    uint32_t taking;                /* the buffer that is being taken */
    uint16_t taken[TAP_QUEUES];     /* last_avail_idx when last looked at */
    int32_t outstanding[TAP_QUEUES];
    int32_t stale;          /* of rings that queues had before */
} Tap;

void tap_register_type(void);
void tap_init(PCIDevice *vf);
void tap_exit(PCIDevice *vf);

/* What the bus master window of VF shows; BUS is the address space behind. */
MemoryRegion *tap_root(PCIDevice *vf, AddressSpace *bus);

/* Queue N was set up: nothing is outstanding on it. */
void tap_queue_set_up(PCIDevice *vf, unsigned n);
/* The driver may have set up the queue that it has selected, or reset all. */
void tap_queue_changed(PCIDevice *vf);

/* The index at AVAIL, an available ring, as the driver has it. */
uint16_t tap_avail_index(PCIDevice *vf, hwaddr avail);

/*
 * What comes back to a device that is disabled or broken is lost.  All of it
 * comes back now.
 */
void tap_settle(PCIDevice *vf);

/* Has the device given back every buffer that it has taken? */
bool tap_idle(PCIDevice *vf);

/*
 * While the gate is closed the device finds no buffers beyond those that it
 * has taken; it can still give back.
 */
void tap_close_gate(PCIDevice *vf);
void tap_open_gate(PCIDevice *vf);

/*
 * Lets TAKE take COUNT buffers of queue N, at the indexes from FIRST on: those
 * with these heads, whatever the ring says.
 */
void tap_replay(PCIDevice *vf, unsigned n, uint16_t first,
                const uint16_t *heads, unsigned count,
                void (*take)(PCIDevice *vf, unsigned n));

#endif
