/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of one VF's device as four bits, after the migration interface of Linux's VFIO, version
 * 1, with NDMA. docs/migration.md has the table of states and what each is to a device.
 *
 * Any valid state may be asked for from any other; what lies between is done step by step. It has
 * been reached when that is said, not before, and does not change by itself. A failure leaves the
 * old state or ERROR, which only a reset of the VF ends.
 */
#ifndef PORTOLAN_VMM_MIGRATE_DEVICE_STATE_H
#define PORTOLAN_VMM_MIGRATE_DEVICE_STATE_H

#include "drivers/virtio/vf_state.h"

enum device_state {
    DEVICE_STOP = 0,
    DEVICE_RUNNING = 1,
    DEVICE_SAVING = 2,
    DEVICE_RESUMING = 4,
    DEVICE_ERROR = DEVICE_SAVING | DEVICE_RESUMING,
    DEVICE_NDMA = 8, /* no DMA and no interrupts; with RUNNING: registers work */
    DEVICE_STATES = 16
};

/* A VF on its way; VF and STATE are the VF's own. The rest is private. */
struct device {
    struct vf_state *vf;
    uint8_t *state; /* enum device_state */
    uint8_t wanted;
    bool undoing;      /* it failed, and goes back */
    bool committed;    /* what was written is the device's: there is no way back */
    bool saving;       /* the device's state is open */
    enum status cause; /* of the failure */
    uint8_t *store;    /* what is read and written; ROOM bytes */
    uint32_t room;
    uint32_t filled; /* RESUMING: bytes written */
    uint32_t size;   /* SAVING: bytes at most */
    uint32_t offset; /* of what is read next */
    bool ended;
};

/* Valid, and not ERROR? */
bool device_state_is_valid(unsigned state);

/* In words, never NULL: "running", "quiesced", "frozen"... */
const char *device_state_name(unsigned state);

/* DEVICE for VF, whose state is *STATE; STORE of ROOM bytes is the device's as long as it is used.
 */
void device_open(struct device *device, struct vf_state *vf, uint8_t *state, void *store,
                 uint32_t room);

/*
 * Begin to bring DEVICE to WANTED, then call device_done() as for vf_state_done(). A set of devices
 * is begun all together. INVALID: no valid state; STATE: it is in ERROR. Others: leaving RESUMING,
 * the device did not take its state; *device->state says where it is now.
 */
enum status device_begin(struct device *device, unsigned wanted);
bool device_done(struct device *device, uint32_t passed_us, enum status *status);

/* Bytes that are still to be read in this state, at most; 0: none, or none now. */
uint32_t device_pending(const struct device *device);

/* SAVING, stopped: the next segment of the state, *SIZE bytes at *DATA, until the next call. */
enum status device_read(struct device *device, const uint8_t **data, uint32_t *size);

/* RESUMING: the next segment. RANGE: all in all it is too much. */
enum status device_write(struct device *device, const void *data, uint32_t size);

#endif
