/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands behind a function: its image, network, character device...
 */
#ifndef PORTOLAN_BACKEND_H
#define PORTOLAN_BACKEND_H

#include "device.h"

/* NAME is "" for a function without a back end of its own. */
struct BackendOps {
    /* before the function is realized */
    bool (*attach)(PCIDevice *d, const char *name, Error **errp);
    /* after: puts a device on the bus of the function and returns it */
    DeviceState *(*populate)(PCIDevice *d, const char *name, Error **errp);
    /*
     * The function goes.  QEMU finalizes it some time later, which would
     * keep the back end from the VF's successor.
     */
    void (*release)(PCIDevice *vf, const char *name);
    /* Waits until the back end works on nothing for VF; NULL: it never does. */
    void (*drain)(PCIDevice *vf);
    /* What VF has asked the back end for without taking a buffer is not wanted
     * any more; NULL: it never does that. */
    void (*forget)(PCIDevice *vf);
};

extern const BackendOps net_backend, blk_backend, console_backend;
extern const BackendOps scsi_backend, rng_backend;

#endif
