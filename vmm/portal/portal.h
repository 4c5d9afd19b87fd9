/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The portal: what a service VM may ask of the VMM, by the rings of vmm/pc/portal_function.h.
 * docs/portal.md has frames, requests and devices. No allocation; nothing here waits: what takes
 * time is looked at again in the next turn.
 *
 * The service VM may send anything. One CPU at a time calls these functions, but for portal_post().
 */
#ifndef PORTOLAN_VMM_PORTAL_PORTAL_H
#define PORTOLAN_VMM_PORTAL_PORTAL_H

#include "vmm/pc/portal_function.h"
#include "vmm/vfio_user/vfio_user.h"

#define PORTAL_CHANNELS  18U     /* 0 is control; the others a VM's and its 16 VFs' */
#define PORTAL_FRAME_MAX 32768U  /* bytes behind its header */
#define PORTAL_LINE_MAX  1000U   /* of a frame of channel 0 */
#define PORTAL_DATA      0x4000U /* bytes of data in a message to or from a VM's channel, */
#define PORTAL_VF_DATA   4096U   /* and a VF's */
#define PORTAL_TEXT_MAX  1024U   /* of compatibility, with the NUL */
#define PORTAL_VMS_MAX   16U
#define PORTAL_HOST_MAX  256U /* HOST:PORT, with the NUL */

/* In the place of a VF's index: the VM itself. */
#define PORTAL_WHOLE UINT32_MAX

struct portal;
struct vm;

/* A device that is open. */
struct portal_channel {
    struct portal *portal;
    bool open;
    uint32_t vf;     /* or PORTAL_WHOLE */
    uint32_t driver; /* features, for its text */
    uint8_t state;   /* the four bits of vmm/migrate/device_state.h */
    bool saved;      /* the edge has its data */
    uint32_t read;   /* of them */
    struct vfio_user server;
    struct vfio_user_function function;
    uint8_t input[PORTAL_VF_DATA + VFIO_USER_ENVELOPE];
};

enum portal_side { PORTAL_SOURCE, PORTAL_TARGET };

/* The VM that is being moved. */
struct portal_move {
    bool open;
    unsigned vm;      /* its index, ... */
    struct vm *moved; /* ... and the VM: vmm/vm/vm_move.h */
    enum portal_side side;
    struct portal_channel *whole; /* the VM's own channel */
    bool tracked;
    bool stopped;     /* source: STOP went well */
    bool drained;     /* and VFs' devices have said since then what they had written */
    bool handed_over; /* source */
    bool ready, runs; /* target */
    uint32_t taken;   /* source: whose data have been read: bit VF, bit 31 the VM's */

    bool ordered;              /* an order is under way: */
    uint8_t order;             /* enum vm_move_order */
    struct portal_channel *by; /* whose; NULL: that of a move that is being closed */
};

/* What the operator wishes of a VM. */
enum portal_wish { PORTAL_MIGRATE, PORTAL_CANCEL, PORTAL_INCOMING };

/* One wish at a time. */
struct portal_mail {
    uint32_t full; /* atomic */
    enum portal_wish wish;
    unsigned vm;
    char to[PORTAL_HOST_MAX];
};

/* What the service VM was told of a VM; atomic. */
struct portal_told {
    const char *state;
    uint32_t resets, powerdowns;
};

struct portal {
    uint8_t *ring; /* shared with the service VM: PORTAL_RING bytes to us, then as many from us */
    uint32_t session;
    uint32_t sent, taken, come, read;
    bool ended;   /* the service VM broke the rules, until it begins anew */
    bool closing; /* a request to close a VM's channel is being carried out */
    bool greeted; /* somebody listens: it said hello; atomic */

    uint32_t left; /* bytes that are still to come of a frame */
    uint16_t channel;
    uint32_t length; /* of the line */
    bool line_waits;
    char line[PORTAL_LINE_MAX + 1];
    char words[PORTAL_LINE_MAX + 1];

    struct portal_mail mail;
    uint32_t wanted; /* bit VM: the operator wants it to be moved, and it was not opened since */
    struct portal_told told[PORTAL_VMS_MAX];
    struct portal_move move;
    struct portal_channel device[PORTAL_CHANNELS];
    char text[PORTAL_TEXT_MAX];
    uint8_t input[PORTAL_DATA + VFIO_USER_ENVELOPE];
    uint8_t output[PORTAL_DATA + VFIO_USER_ENVELOPE] __attribute__((aligned(8)));
};

/* A portal, of zeroes, without a session; RING is shared with the service VM. */
void portal_init(struct portal *portal, uint8_t *ring);

/*
 * See to what is new: the service VM rang, an order may have ended, the operator ordered something.
 * True: there is more to do, call again soon.
 */
bool portal_run(struct portal *portal);

/* The service VM has stopped: end what it has open. False: that is not done yet, call again when an
 * order has ended. */
bool portal_end(struct portal *portal);

/*
 * The operator has a WISH for VM, which is there; TO, at most PORTAL_HOST_MAX - 1 printable
 * characters, is where it shall be migrated to. Any CPU, one at a time; then portal_run() is to be
 * called. STATE: nobody listens, or the wish before has not been told yet; INVALID, RANGE: TO.
 */
enum status portal_post(struct portal *portal, enum portal_wish wish, unsigned vm, const char *to);

/*
 * Has a VM done something that the service VM is to be told? Then portal_run() is to be called. Any
 * CPU: what is told just now may seem to be news.
 */
bool portal_has_events(const struct portal *portal);

#endif
