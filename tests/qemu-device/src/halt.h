/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stopping a VF: STOPPED of virtio 1.4, QUIESCED and FREEZED of the 2021
 * protocol.
 */
#ifndef PORTOLAN_HALT_H
#define PORTOLAN_HALT_H

#include "compat.h"
#include "qemu/main-loop.h"

typedef struct Command Command;

typedef enum Phase {
    PHASE_RUNNING,
    PHASE_DRAINING,     /* takes no more buffers, gives back what it has */
    PHASE_HALTED,       /* no DMA, no interrupts; registers still work */
    PHASE_FROZEN,       /* nor do registers change */
} Phase;

typedef struct Halt {
    Phase phase;
    QEMUBH *bh;
    VMChangeStateEntry *machine;    /* tells when the machine stops and goes on */
    bool resetting;             /* FLR is under way */
    uint32_t generation;        /* of the configuration, when it halted */
    Command *waiter;            /* to be answered when the VF has halted */
    uint64_t doorbells[2];      /* rung meanwhile, by queue */
} Halt;

/* VF halts, now or later; C is answered when it has. */
void halt_begin(PCIDevice *vf, Command *c);
/* Memory can be reached again, for what has to be read before the end. */
void halt_open(PCIDevice *vf);
void halt_close(PCIDevice *vf);
void halt_end(PCIDevice *vf);
void halt_freeze(PCIDevice *vf, bool freeze);

/* FLR begins and ends; then the VF runs. */
void halt_begin_reset(PCIDevice *vf);
void halt_end_reset(PCIDevice *vf);
/* The VF is gone from the bus: what waits for it is answered with an error. */
void halt_die(PCIDevice *vf);
/* The VF goes; what waits for it is answered with an error. */
void halt_exit(PCIDevice *vf);
/* C is no longer to be answered. */
void halt_forget(Command *c);

/* The device gave a buffer back. */
void halt_given_back(PCIDevice *vf);

/* A register was written, maybe one that resets the device or sets up a queue. */
void halt_after_write(PCIDevice *vf);

/* Is a write to the registers to be dropped?  Counted if so. */
bool halt_drops_write(PCIDevice *vf);
/* Keeps the doorbell of QUEUE for later if the VF does not run. */
bool halt_keeps_doorbell(PCIDevice *vf, unsigned queue);

/* A write to configuration space, which must not unmask MSI-X meanwhile. */
void halt_config_write(PCIDevice *vf, uint32_t addr, uint32_t val, int len);

#endif
